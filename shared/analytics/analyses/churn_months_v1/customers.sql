WITH
--> rows.sql
SELECT
  lists.counted,
  SUBSTR(CAST(days.month_end AS varchar), 1, 7) AS churn_month,
  placed.customer_id
FROM placed
INNER JOIN days ON days.months_ago = placed.months_ago
CROSS JOIN (VALUES 'churned', 'active_before', 'entered', 'returned', 'active_after') AS lists (counted)
WHERE (lists.counted = 'active_before' AND active_before)
  OR (lists.counted = 'entered' AND entered)
  OR (lists.counted = 'returned' AND NOT active_before AND NOT entered AND active_after)
  OR (lists.counted = 'churned' AND (active_before OR entered) AND NOT active_after)
  OR (lists.counted = 'active_after' AND active_after)
