-- 継続・離脱 (definitions.md §6): of the people who reached k orders, who went on, who is lost (no order for 離脱基準日 days)
-- and who is not decided yet. A later order makes a lost person one who continued.
WITH people AS (
  SELECT
    orders,
    COUNT(*) AS customers,
    SUM(CASE WHEN recency_days >= :churn_days THEN 1 ELSE 0 END) AS silent
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY orders
),
steps AS (
  SELECT
    series.k,
    COALESCE(SUM(people.customers), 0) AS reached,
    COALESCE(SUM(CASE WHEN people.orders > series.k THEN people.customers END), 0) AS continued,
    COALESCE(SUM(CASE WHEN people.orders = series.k THEN people.silent END), 0) AS churned,
    COALESCE(SUM(CASE WHEN people.orders = series.k THEN people.customers - people.silent END), 0) AS undecided
  FROM UNNEST(SEQUENCE(1, :followed_orders)) AS series (k)
  LEFT JOIN people ON people.orders >= series.k
  GROUP BY series.k
),
followed AS (
  SELECT
    k,
    reached,
    continued,
    churned,
    undecided,
    MAX(reached) OVER () AS customers
  FROM steps
)
SELECT
  CAST(k AS integer) AS order_count,
  CAST(customers AS bigint) AS customers,
  CAST(reached AS bigint) AS reached,
  CAST(continued AS bigint) AS continued,
  CAST(churned AS bigint) AS churned,
  CAST(undecided AS bigint) AS undecided,
  CAST(continued AS double) / NULLIF(reached, 0) AS continued_share,
  CAST(churned AS double) / NULLIF(reached, 0) AS churned_share,
  CAST(undecided AS double) / NULLIF(reached, 0) AS undecided_share,
  CAST(continued AS double) / NULLIF(continued + churned, 0) AS continuation_rate,
  CAST(reached AS double) / NULLIF(customers, 0) AS residual_rate
FROM followed
