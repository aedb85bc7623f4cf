#fail counts_are_possible: nobody repeats without a first order
SELECT COUNT(*) AS violations FROM ltv_cohorts_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (repeat_customers > mature_customers OR repeat_customers > repeat_orders OR mature_customers > customers
    OR orders <> mature_customers + repeat_orders OR amount < 0)
#fail immature_is_blank: no LTV without mature people, and one with them
SELECT COUNT(*) AS violations FROM ltv_cohorts_v1
WHERE tenant = :tenant AND dt = :as_of AND (mature_customers = 0) <> (ltv IS NULL)
#fail cohorts_sum_to_everybody: cohorts sum to all buyers
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM ltv_cohorts_v1 WHERE tenant = :tenant AND dt = :as_of AND chosen)
  - (SELECT COUNT(DISTINCT customer_id) FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#warn foreign_currency: orders in another currency than the shop's are in no amount
SELECT COUNT(CASE WHEN priced_orders < orders THEN 1 END) AS violations
FROM ltv_cohorts_v1 WHERE tenant = :tenant AND dt = :as_of AND chosen
