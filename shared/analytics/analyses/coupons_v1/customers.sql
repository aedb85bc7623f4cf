WITH
--> rows.sql
SELECT 'customers' AS counted, campaign, customer_id
FROM uses
GROUP BY campaign, customer_id
