#fail everybody_predicted: every buyer has a prediction
SELECT ABS(
  (SELECT COUNT(*) FROM customer_predictions_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail possible_values: chances are between 0 and 1, money is not negative, the interval holds together
SELECT COUNT(*) AS violations FROM customer_predictions_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (
    p_alive < 0 OR p_alive > 1 OR p_order_30 < 0 OR p_order_90 > 1 OR p_order_30 > p_order_90 + 0.000000001
    OR orders_365 < 0 OR ltv_365 < 0 OR ltv_365_low > ltv_365_high OR ltv_365 IS NULL
  )
#warn models_in_use: a naive rule does as well as the models
SELECT COUNT(CASE WHEN source = 'naive' THEN 1 END) AS violations
FROM customer_predictions_v1 WHERE tenant = :tenant AND dt = :as_of
