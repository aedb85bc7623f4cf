buyers AS (
  SELECT
    customer_id,
    CAST(DATE_TRUNC('month', ordered_on) AS date) AS month_start,
    MAX(orders) AS orders_ever,
    MIN(number) AS first_number,
    MAX(number) AS last_number,
    SUM(counted) AS orders,
    COUNT(amount) AS priced_orders,
    COALESCE(SUM(amount), 0) AS amount,
    DATE_DIFF('day', MAX(last_on), :as_of) AS recency_days
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND ordered_on >= CAST(DATE_ADD('month', 1 - :retention_months, DATE_TRUNC('month', :as_of)) AS date)
  GROUP BY customer_id, CAST(DATE_TRUNC('month', ordered_on) AS date)
)
