#fail once_each: nobody is in a segment twice
SELECT COUNT(*) AS violations FROM (
  SELECT customer_id FROM segment_members_v1 WHERE tenant = :tenant AND dt = :as_of
  GROUP BY segment, customer_id HAVING COUNT(*) > 1
) AS repeated
