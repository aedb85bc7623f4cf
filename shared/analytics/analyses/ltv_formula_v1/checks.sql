#fail two_formulas: one row each
SELECT ABS(COUNT(*) - 2) AS violations FROM ltv_formula_v1 WHERE tenant = :tenant AND dt = :as_of
#fail rate_is_a_share: nobody repeats without a first order
SELECT COUNT(*) AS violations FROM ltv_formula_v1
WHERE tenant = :tenant AND dt = :as_of AND (repeat_customers > customers OR repeat_rate > 1 OR ltv < mean_order_amount)
