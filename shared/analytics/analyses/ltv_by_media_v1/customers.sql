WITH
--> ../entry_lists.sql
SELECT counted, entry AS media, anchor, within_days, customer_id
FROM entry_lists
WHERE dimension = 'media'
  AND counted <> 'one_timers'
