WITH
--> ../entry_lists.sql
SELECT
  CASE counted WHEN 'repeat_customers' THEN 'second_buyers' ELSE counted END AS counted,
  dimension,
  entry,
  within_days,
  customer_id
FROM entry_lists
WHERE anchor = 'first_order'
  AND dimension IN ('product', 'category', 'media', 'store')
