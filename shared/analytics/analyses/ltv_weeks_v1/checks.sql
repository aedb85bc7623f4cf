#fail weeks_sum_to_everybody: cohorts sum to all buyers
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM ltv_weeks_v1 WHERE tenant = :tenant AND dt = :as_of AND chosen)
  - (SELECT COALESCE(SUM(customers), 0) FROM ltv_by_first_v1 WHERE tenant = :tenant AND dt = :as_of AND dimension = 'week' AND chosen)
) AS violations
#fail immature_is_blank: no LTV without mature people, and one with them
SELECT COUNT(*) AS violations FROM ltv_weeks_v1
WHERE tenant = :tenant AND dt = :as_of AND (mature_customers = 0) <> (ltv IS NULL)
