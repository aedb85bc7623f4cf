-- クロス集計 (definitions.md §8): of the people who bought the base, who also bought X, with the same order counted and
-- without. A product of the base is no X.
WITH bought AS (
  SELECT customer_id, number, source, store, order_id, first_on, product_id, title
  FROM lines_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
best AS (
  SELECT product_id, ROW_NUMBER() OVER (ORDER BY COUNT(DISTINCT customer_id) DESC, product_id) AS place
  FROM bought
  GROUP BY product_id
),
-- The shop's base products as one base; without any, each of the twenty that most people bought.
bases AS (
  SELECT product_id AS base, product_id
  FROM best
  WHERE :base_products = '' AND place <= 20
  UNION ALL
  SELECT REPLACE(:base_products, CHR(10), CASE WHEN :base_any = 1 THEN ' | ' ELSE ' & ' END) AS base, chosen.product_id
  FROM UNNEST(SPLIT(:base_products, CHR(10))) AS chosen (product_id)
  WHERE :base_products <> ''
),
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
),
sizes AS (
  SELECT base, COUNT(*) AS customers
  FROM base_people
  GROUP BY base
),
buyers AS (
  SELECT product_id, COUNT(DISTINCT customer_id) AS customers, MIN(title) AS title
  FROM bought
  GROUP BY product_id
),
everybody AS (
  SELECT COUNT(DISTINCT customer_id) AS customers
  FROM bought
),
counts AS (
  SELECT
    also.base,
    also.product_id,
    variants.with_same,
    COALESCE(SUM(CASE WHEN variants.with_same = 1 OR also.elsewhere = 1 THEN 1 ELSE 0 END), 0) AS customers
  FROM also
  CROSS JOIN UNNEST(SEQUENCE(0, 1)) AS variants (with_same)
  GROUP BY also.base, also.product_id, variants.with_same
)
SELECT
  counts.base,
  counts.product_id,
  buyers.title,
  counts.with_same = 1 AS same_order,
  CAST(sizes.customers AS bigint) AS base_customers,
  CAST(counts.customers AS bigint) AS customers,
  CAST(buyers.customers AS bigint) AS product_customers,
  CAST(everybody.customers AS bigint) AS all_customers,
  CAST(counts.customers AS double) / NULLIF(everybody.customers, 0) AS support,
  CAST(counts.customers AS double) / NULLIF(sizes.customers, 0) AS confidence,
  CAST(counts.customers * everybody.customers AS double) / NULLIF(sizes.customers * buyers.customers, 0) AS lift
FROM counts
INNER JOIN sizes ON sizes.base = counts.base
INNER JOIN buyers ON buyers.product_id = counts.product_id
CROSS JOIN everybody
