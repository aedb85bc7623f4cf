#fail everybody_came_in_once: everybody has one first week
SELECT ABS(
  (SELECT COUNT(*) FROM entries_v1 WHERE tenant = :tenant AND dt = :as_of AND dimension = 'week')
  - (SELECT COUNT(DISTINCT customer_id) FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail possible_days: nobody comes back before they came
SELECT COUNT(*) AS violations FROM entries_v1
WHERE tenant = :tenant AND dt = :as_of AND (next_day < 0 OR entered_on > :as_of OR (anchor = 'first_order' AND entered_number <> 1))
