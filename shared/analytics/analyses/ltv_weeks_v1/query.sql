-- LTV推移 by week of the first order (definitions.md §3), beside the months of ltv_cohorts_v1.
SELECT
  entry AS cohort_week,
  entry = CAST(CAST(DATE_TRUNC('week', :as_of) AS date) AS varchar) AS latest_week,
  within_days,
  chosen,
  customers,
  mature_customers,
  complete,
  amount,
  orders,
  priced_orders,
  repeat_customers,
  ltv,
  repeat_rate,
  average_order_amount
FROM ltv_by_first_v1
WHERE tenant = :tenant
  AND dt = :as_of
  AND dimension = 'week'
