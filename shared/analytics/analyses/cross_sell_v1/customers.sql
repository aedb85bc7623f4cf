WITH
--> rows.sql,
chosen AS (
  SELECT also.base, also.product_id, variants.with_same, also.elsewhere, also.customer_id
  FROM also
  CROSS JOIN UNNEST(SEQUENCE(0, 1)) AS variants (with_same)
),
cells AS (
  SELECT DISTINCT base, product_id, with_same
  FROM chosen
)
SELECT 'customers' AS counted, base, product_id, with_same = 1 AS same_order, customer_id
FROM chosen
WHERE with_same = 1 OR elsewhere = 1
UNION ALL
SELECT 'base_customers' AS counted, cells.base, cells.product_id, cells.with_same = 1 AS same_order, base_people.customer_id
FROM cells
INNER JOIN base_people ON base_people.base = cells.base
