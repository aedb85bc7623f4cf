#fail every_move: whoever came into a status on this day moved once
SELECT ABS(
  (SELECT SUM(customers) FROM status_moves_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM status_v1 WHERE tenant = :tenant AND dt = :as_of AND status_since = :as_of)
) AS violations
