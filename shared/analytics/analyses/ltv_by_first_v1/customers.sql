WITH
--> ../entry_lists.sql
SELECT counted, dimension, anchor, entry, within_days, customer_id
FROM entry_lists
WHERE counted <> 'one_timers'
