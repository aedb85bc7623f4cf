#fail counts_are_possible: nobody repeats without coming in, and everybody mature has an order
SELECT COUNT(*) AS violations FROM ltv_by_first_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (repeat_customers > mature_customers OR mature_customers > customers OR orders < mature_customers + repeat_customers
    OR (mature_customers = 0) <> (ltv IS NULL))
#fail weeks_sum_to_everybody: everybody came in in one week
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM ltv_by_first_v1 WHERE tenant = :tenant AND dt = :as_of AND dimension = 'week' AND chosen)
  - (SELECT COUNT(DISTINCT customer_id) FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#warn without_amount: orders without an amount (another currency, or amount_basis not known) are in no LTV
SELECT COUNT(CASE WHEN priced_orders < orders THEN 1 END) AS violations
FROM ltv_by_first_v1 WHERE tenant = :tenant AND dt = :as_of AND chosen
