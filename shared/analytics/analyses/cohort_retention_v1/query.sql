-- コホート残存: of the people of a first-order month, who had an order so many calendar months later? Months that have not
-- begun have no row; one that is not over says so.
WITH orders AS (
  SELECT
    customer_id,
    CAST(DATE_TRUNC('month', first_on) AS date) AS cohort,
    -- Between first days of months both engines count alike.
    DATE_DIFF('month', CAST(DATE_TRUNC('month', first_on) AS date), CAST(DATE_TRUNC('month', ordered_on) AS date))
      AS months_since,
    counted,
    amount
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
cohorts AS (
  SELECT cohort, COUNT(DISTINCT customer_id) AS customers
  FROM orders
  GROUP BY cohort
),
active AS (
  SELECT
    cohort,
    months_since,
    COUNT(DISTINCT customer_id) AS customers,
    SUM(counted) AS orders,
    COALESCE(SUM(amount), 0) AS amount
  FROM orders
  GROUP BY cohort, months_since
)
SELECT
  SUBSTR(CAST(cohorts.cohort AS varchar), 1, 7) AS cohort_month,
  CAST(series.months_since AS integer) AS months_since,
  CAST(DATE_ADD('day', -1, DATE_ADD('month', series.months_since + 1, cohorts.cohort)) AS date) > :as_of AS partial,
  CAST(cohorts.customers AS bigint) AS customers,
  CAST(COALESCE(active.customers, 0) AS bigint) AS active_customers,
  CAST(COALESCE(active.orders, 0) AS bigint) AS orders,
  CAST(COALESCE(active.amount, 0) AS bigint) AS amount,
  CAST(COALESCE(active.customers, 0) AS double) / NULLIF(cohorts.customers, 0) AS retention_rate
FROM cohorts
CROSS JOIN UNNEST(SEQUENCE(0, :retention_months)) AS series (months_since)
LEFT JOIN active ON active.cohort = cohorts.cohort AND active.months_since = series.months_since
WHERE CAST(DATE_ADD('month', series.months_since, cohorts.cohort) AS date) <= :as_of
