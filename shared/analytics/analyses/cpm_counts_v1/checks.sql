#fail groups_sum_to_everybody: every buyer is in one of the groups
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM cpm_counts_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail all_groups: ten groups, empty ones too
SELECT ABS(COUNT(*) - 10) AS violations FROM cpm_counts_v1 WHERE tenant = :tenant AND dt = :as_of
