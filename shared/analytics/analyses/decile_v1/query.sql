-- デシル分析: buyers by amount, highest first, in ten groups of equal size. The rule for what the published text leaves
-- open: equal amounts by id; where the number does not divide, the upper groups have one more.
WITH ranked AS (
  SELECT
    orders,
    amount,
    NTILE(10) OVER (ORDER BY amount DESC, customer_id) AS decile
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
groups AS (
  SELECT
    decile,
    COUNT(*) AS customers,
    SUM(orders) AS orders,
    SUM(amount) AS amount,
    MAX(amount) AS largest,
    MIN(amount) AS smallest
  FROM ranked
  GROUP BY decile
),
complete AS (
  SELECT
    series.decile,
    COALESCE(groups.customers, 0) AS customers,
    COALESCE(groups.orders, 0) AS orders,
    COALESCE(groups.amount, 0) AS amount,
    groups.largest,
    groups.smallest
  FROM UNNEST(SEQUENCE(1, 10)) AS series (decile)
  LEFT JOIN groups ON groups.decile = series.decile
),
summed AS (
  SELECT
    decile,
    customers,
    orders,
    amount,
    largest,
    smallest,
    SUM(amount) OVER (ORDER BY decile ROWS UNBOUNDED PRECEDING) AS cumulative_amount,
    SUM(amount) OVER () AS total_amount
  FROM complete
)
SELECT
  CAST(decile AS integer) AS decile,
  CAST(customers AS bigint) AS customers,
  CAST(orders AS bigint) AS orders,
  CAST(amount AS bigint) AS amount,
  CAST(cumulative_amount AS bigint) AS cumulative_amount,
  CAST(total_amount AS bigint) AS total_amount,
  CAST(amount AS double) / NULLIF(total_amount, 0) AS amount_share,
  CAST(cumulative_amount AS double) / NULLIF(total_amount, 0) AS cumulative_share,
  CAST(amount AS double) / NULLIF(customers, 0) AS amount_per_customer,
  CAST(largest AS bigint) AS largest_amount,
  CAST(smallest AS bigint) AS smallest_amount
FROM summed
