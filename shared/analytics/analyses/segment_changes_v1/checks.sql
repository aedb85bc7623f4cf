#fail one_change_each: nobody enters and leaves in one night
SELECT COUNT(*) AS violations FROM (
  SELECT customer_id FROM segment_changes_v1 WHERE tenant = :tenant AND dt = :as_of
  GROUP BY segment, customer_id HAVING COUNT(*) > 1
) AS repeated
