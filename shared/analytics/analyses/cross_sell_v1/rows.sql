--> ../base_products.sql,
base_sizes AS (
  SELECT base, COUNT(DISTINCT product_id) AS products
  FROM bases
  GROUP BY base
),
base_people AS (
  SELECT bases.base, bought.customer_id
  FROM bases
  INNER JOIN bought ON bought.product_id = bases.product_id
  INNER JOIN base_sizes ON base_sizes.base = bases.base
  GROUP BY bases.base, bought.customer_id, base_sizes.products
  HAVING COUNT(DISTINCT bought.product_id) >= CASE WHEN :base_any = 1 THEN 1 ELSE base_sizes.products END
),
base_orders AS (
  SELECT DISTINCT bases.base, bought.customer_id, bought.source, bought.store, bought.order_id
  FROM bases
  INNER JOIN bought ON bought.product_id = bases.product_id
),
-- What people of the base also bought, and whether an order without any base product held it.
also AS (
  SELECT
    base_people.base,
    base_people.customer_id,
    bought.product_id,
    MAX(CASE WHEN base_orders.order_id IS NULL THEN 1 ELSE 0 END) AS elsewhere
  FROM base_people
  INNER JOIN bought ON bought.customer_id = base_people.customer_id
  LEFT JOIN bases ON bases.base = base_people.base AND bases.product_id = bought.product_id
  LEFT JOIN base_orders
    ON base_orders.base = base_people.base
    AND base_orders.customer_id = bought.customer_id
    AND base_orders.source = bought.source
    AND base_orders.store = bought.store
    AND base_orders.order_id = bought.order_id
  WHERE bases.product_id IS NULL
  GROUP BY base_people.base, base_people.customer_id, bought.product_id
)
