WITH
--> ../media_costs.sql,
firsts AS (
  SELECT customer_id, media, CAST(DATE_TRUNC('month', first_on) AS date) AS month_start
  FROM purchases_v1
  WHERE tenant = :tenant AND dt = :as_of AND number = 1 AND counted = 1
)
SELECT 'first_orders' AS counted, media, SUBSTR(CAST(month_start AS varchar), 1, 7) AS cost_month, customer_id
FROM firsts
UNION ALL
SELECT 'first_orders' AS counted, firsts.media, '全期間' AS cost_month, firsts.customer_id
FROM firsts
INNER JOIN costs ON costs.media = firsts.media AND costs.month_start = firsts.month_start
