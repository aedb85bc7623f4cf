-- LTV推移 by 商品 (definitions.md §3): the product part of ltv_by_first_v1.
SELECT
  entry AS product_id,
  label AS title,
  anchor,
--> ../ltv_measures.sql
  AND dimension = 'product'
