WITH
--> ../entry_lists.sql
SELECT counted, entry AS cohort_week, within_days, customer_id
FROM entry_lists
WHERE dimension = 'week'
  AND counted <> 'one_timers'
