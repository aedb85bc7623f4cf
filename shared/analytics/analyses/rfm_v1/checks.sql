#fail one_cell_each: every buyer is in exactly one cell
SELECT ABS(
  (SELECT COUNT(*) FROM rfm_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(DISTINCT customer_id) FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail bins_1_to_6: bins run from 1 to 6
SELECT COUNT(*) AS violations FROM rfm_v1
WHERE tenant = :tenant AND dt = :as_of AND NOT (r BETWEEN 1 AND 6 AND f BETWEEN 1 AND 6 AND m BETWEEN 1 AND 6)
