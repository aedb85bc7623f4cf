-- LTV推移 by カテゴリ (definitions.md §3): the category part of ltv_by_first_v1.
SELECT
  entry AS category,
  anchor,
--> ../ltv_measures.sql
  AND dimension = 'category'
