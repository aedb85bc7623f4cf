#fail one_open_gap_each: everybody waits once per item
SELECT COUNT(*) AS violations FROM item_cycle_v1
WHERE tenant = :tenant AND dt = :as_of AND (still_open <> customers OR came_again > customers OR finished < came_again)
#fail one_row_each: an item stands once
SELECT COUNT(*) AS violations FROM (
  SELECT level, item FROM item_cycle_v1 WHERE tenant = :tenant AND dt = :as_of GROUP BY level, item HAVING COUNT(*) > 1
) AS repeated
