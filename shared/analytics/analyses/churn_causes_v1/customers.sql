WITH
--> rows.sql
SELECT 'customers' AS counted, factor, factor_value, customer_id FROM factors WHERE factor_value IS NOT NULL
UNION ALL
SELECT CASE WHEN churned THEN 'churned' ELSE 'stayed' END AS counted, factor, factor_value, customer_id
FROM factors
WHERE factor_value IS NOT NULL
