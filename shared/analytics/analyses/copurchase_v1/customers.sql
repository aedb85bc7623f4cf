WITH
--> rows.sql
SELECT
  'customers' AS counted,
  pairs.base,
  CAST(pairs.number AS integer) AS order_count,
  pairs.product_id,
  pairs.customer_id
FROM pairs
INNER JOIN ranked ON ranked.base = pairs.base AND ranked.number = pairs.number AND ranked.product_id = pairs.product_id
WHERE ranked.place <= 5
