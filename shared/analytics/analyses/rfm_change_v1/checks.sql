#fail everybody_moved_once: cells sum to everybody
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM rfm_change_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM rfm_dates_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail all_cells: 63 cells, empty ones too
SELECT ABS(COUNT(*) - 63) AS violations FROM rfm_change_v1 WHERE tenant = :tenant AND dt = :as_of
