WITH
--> rows.sql
SELECT 'customers' AS counted, level, item, customer_id
FROM occasions
UNION ALL
SELECT 'came_again' AS counted, level, item, customer_id
FROM occasions
WHERE next_on IS NOT NULL
