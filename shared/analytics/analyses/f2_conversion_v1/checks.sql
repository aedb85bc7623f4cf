#fail numerators_fall: nobody has a third order without a second, or a second without a first
SELECT COUNT(*) AS violations FROM f2_conversion_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (second_buyers > mature_customers OR third_buyers > second_buyers OR fourth_buyers > third_buyers
    OR fifth_buyers > fourth_buyers OR mature_customers > customers OR one_timers + second_buyers > mature_customers)
#fail immature_is_blank: no rate without mature people
SELECT COUNT(*) AS violations FROM f2_conversion_v1
WHERE tenant = :tenant AND dt = :as_of AND (mature_customers = 0) <> (f2_rate IS NULL)
#fail cohorts_sum_to_everybody: cohorts sum to all buyers
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM f2_conversion_v1 WHERE tenant = :tenant AND dt = :as_of AND chosen)
  - (SELECT COUNT(DISTINCT customer_id) FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
