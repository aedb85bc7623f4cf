WITH
--> rows.sql
SELECT outcome AS counted, segment, customer_id FROM people
UNION ALL
SELECT 'customers' AS counted, segment, customer_id FROM people
