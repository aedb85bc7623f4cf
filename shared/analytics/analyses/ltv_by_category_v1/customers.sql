WITH
--> ../entry_lists.sql
SELECT counted, entry AS category, anchor, within_days, customer_id
FROM entry_lists
WHERE dimension = 'category'
  AND counted <> 'one_timers'
