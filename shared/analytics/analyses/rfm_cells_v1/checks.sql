#fail cells_sum_to_everybody: cells sum to the total
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM rfm_cells_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM rfm_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail all_cells: 216 cells, empty ones too
SELECT ABS(COUNT(*) - 216) AS violations FROM rfm_cells_v1 WHERE tenant = :tenant AND dt = :as_of
