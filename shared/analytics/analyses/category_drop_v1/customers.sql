WITH
--> rows.sql
SELECT lists.counted, people.category, people.customer_id
FROM people
CROSS JOIN (VALUES 'baseline_customers', 'last_customers', 'missing_customers') AS lists (counted)
WHERE (lists.counted = 'baseline_customers' AND bought_before = 1)
  OR (lists.counted = 'last_customers' AND bought_last = 1)
  OR (lists.counted = 'missing_customers' AND bought_before = 1 AND bought_last = 0)
