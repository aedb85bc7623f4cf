#fail one_group_each: everybody is in one group per month end
SELECT COUNT(*) AS violations FROM (
  SELECT customer_id, months_ago FROM cpm_history_v1
  WHERE tenant = :tenant AND dt = :as_of GROUP BY customer_id, months_ago HAVING COUNT(*) > 1
) AS repeated
#fail ten_places: groups run from 1 to 10, and no day is later than the as-of day
SELECT COUNT(*) AS violations FROM cpm_history_v1
WHERE tenant = :tenant AND dt = :as_of AND (NOT place BETWEEN 1 AND 10 OR evaluated_on > :as_of)
