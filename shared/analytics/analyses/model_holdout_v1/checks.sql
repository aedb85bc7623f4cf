#fail possible_histories: t_x lies between 0 and T, and nobody bought more often than there are days
SELECT COUNT(*) AS violations FROM model_holdout_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (t_x < 0 OR t_x > t_cal OR x < 0 OR later < 0 OR later > days OR customers < 1)
