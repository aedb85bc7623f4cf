WITH
--> rows.sql
SELECT 'customers' AS counted, CAST(from_order AS integer) AS from_order, from_product, to_product, customer_id
FROM steps
