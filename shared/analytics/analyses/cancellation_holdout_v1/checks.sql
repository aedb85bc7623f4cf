#fail possible_counts: nobody finds more than there is
SELECT COUNT(*) AS violations FROM cancellation_holdout_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (found > LEAST(called, cancelled) OR found_newest > LEAST(called, cancelled) OR called > contracts)
