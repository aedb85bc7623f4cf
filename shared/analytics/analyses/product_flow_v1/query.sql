-- 購入フロー (definitions.md §7): product of the first, second, third order. Orders without a product (送料 only, or lines
-- not known) are no orders here.
WITH
--> rows.sql,
counts AS (
  SELECT from_order, from_product, to_product, COUNT(DISTINCT customer_id) AS customers
  FROM steps
  GROUP BY from_order, from_product, to_product
),
starts AS (
  SELECT from_order, from_product, COUNT(DISTINCT customer_id) AS customers
  FROM steps
  GROUP BY from_order, from_product
),
named AS (
  SELECT product_id, MIN(title) AS title
  FROM lines_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY product_id
)
SELECT
  CAST(counts.from_order AS integer) AS from_order,
  counts.from_product,
  origin.title AS from_title,
  counts.to_product,
  target.title AS to_title,
  CAST(counts.customers AS bigint) AS customers,
  CAST(starts.customers AS bigint) AS from_customers,
  CAST(counts.customers AS double) / NULLIF(starts.customers, 0) AS rate
FROM counts
INNER JOIN starts ON starts.from_order = counts.from_order AND starts.from_product = counts.from_product
LEFT JOIN named AS origin ON origin.product_id = counts.from_product
LEFT JOIN named AS target ON target.product_id = counts.to_product
