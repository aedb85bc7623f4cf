#fail deciles_sum_to_everybody: deciles sum to all buyers and all they paid
SELECT
  ABS(
    (SELECT COALESCE(SUM(customers), 0) FROM decile_v1 WHERE tenant = :tenant AND dt = :as_of)
    - (SELECT COUNT(*) FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of)
  )
  + ABS(
    (SELECT COALESCE(SUM(amount), 0) FROM decile_v1 WHERE tenant = :tenant AND dt = :as_of)
    - (SELECT COALESCE(SUM(amount), 0) FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of)
  ) AS violations
#fail equal_sizes: sizes differ by one at most
SELECT CASE WHEN MAX(customers) - MIN(customers) > 1 THEN 1 ELSE 0 END AS violations
FROM decile_v1 WHERE tenant = :tenant AND dt = :as_of
