-- 継続率 and 平均購入単価 by month (definitions.md §6): of the people who bought in a month, who ordered again after it, who is
-- lost and who is not decided yet.
WITH
--> rows.sql,
months AS (
  SELECT
    month_start,
    COUNT(*) AS customers,
    SUM(CASE WHEN first_number = 1 THEN 1 ELSE 0 END) AS new_customers,
    SUM(orders) AS orders,
    SUM(priced_orders) AS priced_orders,
    SUM(amount) AS amount,
    SUM(CASE WHEN last_number < orders_ever THEN 1 ELSE 0 END) AS continued,
    SUM(CASE WHEN last_number = orders_ever AND recency_days >= :churn_days THEN 1 ELSE 0 END) AS churned,
    SUM(CASE WHEN last_number = orders_ever AND recency_days < :churn_days THEN 1 ELSE 0 END) AS undecided
  FROM buyers
  GROUP BY month_start
)
SELECT
  SUBSTR(CAST(month_start AS varchar), 1, 7) AS order_month,
  CAST(DATE_ADD('day', -1, DATE_ADD('month', 1, month_start)) AS date) > :as_of AS partial,
  CAST(customers AS bigint) AS customers,
  CAST(new_customers AS bigint) AS new_customers,
  CAST(orders AS bigint) AS orders,
  CAST(priced_orders AS bigint) AS priced_orders,
  CAST(amount AS bigint) AS amount,
  CAST(continued AS bigint) AS continued,
  CAST(churned AS bigint) AS churned,
  CAST(undecided AS bigint) AS undecided,
  CAST(continued AS double) / NULLIF(continued + churned, 0) AS continuation_rate,
  CAST(amount AS double) / NULLIF(priced_orders, 0) AS average_order_amount,
  CAST(amount AS double) / NULLIF(customers, 0) AS amount_per_customer,
  CAST(orders AS double) / NULLIF(customers, 0) AS orders_per_customer
FROM months
