-- 併売パターン (definitions.md §7): the five products most bought together with a base product, by the n-th order.
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
-- People whose first order is at most 24 months old; of each order with a base product, what else was in it.
together AS (
  SELECT DISTINCT
    bases.base,
    held.number,
    held.customer_id,
    held.source,
    held.store,
    held.order_id
  FROM bases
  INNER JOIN bought AS held ON held.product_id = bases.product_id
  WHERE held.first_on > CAST(DATE_ADD('month', -24, :as_of) AS date)
    AND held.number <= :followed_orders
),
pairs AS (
  SELECT DISTINCT together.base, together.number, together.customer_id, bought.product_id
  FROM together
  INNER JOIN bought
    ON bought.customer_id = together.customer_id
    AND bought.source = together.source
    AND bought.store = together.store
    AND bought.order_id = together.order_id
  LEFT JOIN bases ON bases.base = together.base AND bases.product_id = bought.product_id
  WHERE bases.product_id IS NULL
),
ranked AS (
  SELECT
    base,
    number,
    product_id,
    COUNT(*) AS customers,
    ROW_NUMBER() OVER (PARTITION BY base, number ORDER BY COUNT(*) DESC, product_id) AS place
  FROM pairs
  GROUP BY base, number, product_id
),
sizes AS (
  SELECT base, number, COUNT(DISTINCT customer_id) AS customers
  FROM together
  GROUP BY base, number
),
named AS (
  SELECT product_id, MIN(title) AS title
  FROM bought
  GROUP BY product_id
)
SELECT
  ranked.base,
  CAST(ranked.number AS integer) AS order_count,
  CAST(ranked.place AS integer) AS place,
  ranked.product_id,
  named.title,
  CAST(ranked.customers AS bigint) AS customers,
  CAST(sizes.customers AS bigint) AS base_customers,
  CAST(ranked.customers AS double) / NULLIF(sizes.customers, 0) AS rate
FROM ranked
INNER JOIN sizes ON sizes.base = ranked.base AND sizes.number = ranked.number
INNER JOIN named ON named.product_id = ranked.product_id
WHERE ranked.place <= 5
