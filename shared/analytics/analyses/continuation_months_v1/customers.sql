WITH
--> rows.sql
SELECT lists.counted, SUBSTR(CAST(month_start AS varchar), 1, 7) AS order_month, customer_id
FROM buyers
CROSS JOIN (VALUES 'customers', 'new_customers', 'continued', 'churned', 'undecided') AS lists (counted)
WHERE lists.counted = 'customers'
  OR (lists.counted = 'new_customers' AND first_number = 1)
  OR (lists.counted = 'continued' AND last_number < orders_ever)
  OR (lists.counted = 'churned' AND last_number = orders_ever AND recency_days >= :churn_days)
  OR (lists.counted = 'undecided' AND last_number = orders_ever AND recency_days < :churn_days)
