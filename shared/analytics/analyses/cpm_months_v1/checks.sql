#fail months_sum_to_everybody: the groups of the as-of month sum to everybody who had bought
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM cpm_months_v1
    WHERE tenant = :tenant AND dt = :as_of AND evaluated_on = :as_of)
  - (SELECT COUNT(*) FROM cpm_history_v1 WHERE tenant = :tenant AND dt = :as_of AND months_ago = 0)
) AS violations
#fail all_groups: ten groups per month, empty ones too
SELECT ABS(COUNT(*) - 10 * :cpm_months) AS violations FROM cpm_months_v1 WHERE tenant = :tenant AND dt = :as_of
