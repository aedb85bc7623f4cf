WITH orders AS (
  SELECT DISTINCT
    customer_id,
    CAST(DATE_TRUNC('month', first_on) AS date) AS cohort,
    DATE_DIFF('month', CAST(DATE_TRUNC('month', first_on) AS date), CAST(DATE_TRUNC('month', ordered_on) AS date))
      AS months_since
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
)
SELECT
  'active_customers' AS counted,
  SUBSTR(CAST(cohort AS varchar), 1, 7) AS cohort_month,
  CAST(months_since AS integer) AS months_since,
  customer_id
FROM orders
WHERE months_since <= :retention_months
UNION ALL
SELECT
  'customers' AS counted,
  SUBSTR(CAST(orders.cohort AS varchar), 1, 7) AS cohort_month,
  CAST(series.months_since AS integer) AS months_since,
  orders.customer_id
FROM orders
CROSS JOIN UNNEST(SEQUENCE(0, :retention_months)) AS series (months_since)
WHERE orders.months_since = 0
  AND CAST(DATE_ADD('month', series.months_since, orders.cohort) AS date) <= :as_of
