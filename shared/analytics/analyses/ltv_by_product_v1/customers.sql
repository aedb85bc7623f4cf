WITH
--> ../entry_lists.sql
SELECT counted, entry AS product_id, anchor, within_days, customer_id
FROM entry_lists
WHERE dimension = 'product'
  AND counted <> 'one_timers'
