#fail everybody_bought_in_month_0: a cohort's first month is everybody's
SELECT COUNT(*) AS violations FROM cohort_retention_v1
WHERE tenant = :tenant AND dt = :as_of AND ((months_since = 0 AND active_customers <> customers) OR active_customers > customers OR orders < active_customers)
#fail cohorts_sum_to_everybody: cohorts sum to all buyers
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM cohort_retention_v1 WHERE tenant = :tenant AND dt = :as_of AND months_since = 0)
  - (SELECT COUNT(DISTINCT customer_id) FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
