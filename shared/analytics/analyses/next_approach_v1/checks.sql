#fail everybody_has_an_approach: statuses sum to everybody
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM next_approach_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM status_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail five_statuses: one row each
SELECT ABS(COUNT(*) - 5) AS violations FROM next_approach_v1 WHERE tenant = :tenant AND dt = :as_of
