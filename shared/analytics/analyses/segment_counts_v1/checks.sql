#fail everybody_counted: the numbers sum to the members
SELECT ABS(
  (SELECT COALESCE(SUM(people), 0) FROM segment_counts_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM segment_members_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
