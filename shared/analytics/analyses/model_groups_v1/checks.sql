#fail everybody_grouped: every buyer is in one group
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM model_groups_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail possible_histories: t_x lies between 0 and T, and is 0 without repeat purchases
SELECT COUNT(*) AS violations FROM model_groups_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (t_x < 0 OR t_x > t_cal OR (x = 0 AND t_x <> 0) OR (x > 0 AND t_x = 0))
