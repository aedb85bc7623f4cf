#fail counts_sum_to_everybody: statuses sum to the total
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM status_counts_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM status_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
