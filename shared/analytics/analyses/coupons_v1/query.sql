-- クーポンの利用: codes loaded with `matakite mail coupon load` joined to the orders that name them. Carts take a code in any
-- case of letters, so it is compared in capitals.
WITH
--> rows.sql,
loaded AS (
  SELECT campaign, COUNT(*) AS codes
  FROM told
  WHERE newest = 1
  GROUP BY campaign
),
-- An order with two codes of one campaign is one order.
of_orders AS (
  SELECT campaign, source, store, order_id, customer_id, ordered_on, MAX(amount) AS amount, MAX(discount) AS discount
  FROM uses
  GROUP BY campaign, source, store, order_id, customer_id, ordered_on
),
summed AS (
  SELECT
    campaign,
    COUNT(*) AS orders,
    COUNT(DISTINCT customer_id) AS customers,
    SUM(amount) AS amount,
    SUM(discount) AS discount,
    MIN(ordered_on) AS first_on,
    MAX(ordered_on) AS last_on
  FROM of_orders
  GROUP BY campaign
),
of_codes AS (
  SELECT campaign, code, COUNT(DISTINCT customer_id) AS people
  FROM uses
  GROUP BY campaign, code
),
spread AS (
  SELECT campaign, COUNT(*) AS used, COUNT(CASE WHEN people > 1 THEN 1 END) AS reused
  FROM of_codes
  GROUP BY campaign
)
SELECT
  loaded.campaign,
  CAST(loaded.codes AS bigint) AS codes,
  CAST(COALESCE(spread.used, 0) AS bigint) AS used,
  CAST(COALESCE(spread.reused, 0) AS bigint) AS reused,
  CAST(COALESCE(summed.orders, 0) AS bigint) AS orders,
  CAST(COALESCE(summed.customers, 0) AS bigint) AS customers,
  CAST(COALESCE(summed.amount, 0) AS bigint) AS amount,
  CAST(COALESCE(summed.discount, 0) AS bigint) AS discount,
  summed.first_on,
  summed.last_on
FROM loaded
LEFT JOIN summed ON summed.campaign = loaded.campaign
LEFT JOIN spread ON spread.campaign = loaded.campaign
