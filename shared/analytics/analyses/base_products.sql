-- What was bought, and the base products of クロス集計 and 併売パターン (definitions.md §8, §7).
bought AS (
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
)
