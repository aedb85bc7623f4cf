-- 商品別新規・リピート (definitions.md §7): each order of a product in the last period_days is by somebody new to the shop
-- (their first order), new to the product, or a repeat of it; counted after it was classified.
WITH classified AS (
  SELECT
    customer_id,
    source,
    store,
    order_id,
    product_id,
    title,
    category,
    quantity,
    amount,
    CASE WHEN number = 1 THEN 'new_to_shop' WHEN product_number = 1 THEN 'new_to_product' ELSE 'repeat' END AS buyer_class
  FROM lines_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND ordered_on > CAST(DATE_ADD('day', -:period_days, :as_of) AS date)
),
named AS (
  SELECT product_id, MIN(title) AS title, MIN(category) AS category
  FROM classified
  GROUP BY product_id
),
classes AS (
  SELECT buyer_class
  FROM (VALUES 'new_to_shop', 'new_to_product', 'repeat') AS known (buyer_class)
),
sums AS (
  SELECT
    product_id,
    buyer_class,
    COUNT(DISTINCT customer_id) AS customers,
    COUNT(*) AS orders,
    SUM(quantity) AS quantity,
    COALESCE(SUM(amount), 0) AS amount
  FROM classified
  GROUP BY product_id, buyer_class
)
SELECT
  named.product_id,
  named.title,
  named.category,
  classes.buyer_class,
  CAST(COALESCE(sums.customers, 0) AS bigint) AS customers,
  CAST(COALESCE(sums.orders, 0) AS bigint) AS orders,
  CAST(COALESCE(sums.quantity, 0) AS bigint) AS quantity,
  CAST(COALESCE(sums.amount, 0) AS bigint) AS amount,
  CAST(COALESCE(sums.orders, 0) AS double) / NULLIF(SUM(sums.orders) OVER (PARTITION BY named.product_id), 0) AS order_share
FROM named
CROSS JOIN classes
LEFT JOIN sums ON sums.product_id = named.product_id AND sums.buyer_class = classes.buyer_class
