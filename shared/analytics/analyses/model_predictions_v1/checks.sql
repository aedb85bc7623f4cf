#fail one_row_per_history: a history has one prediction
SELECT COUNT(*) AS violations FROM (
  SELECT x, t_x, t_cal
  FROM model_predictions_v1
  WHERE tenant = :tenant AND dt = :as_of
  GROUP BY x, t_x, t_cal
  HAVING COUNT(*) > 1
) AS repeated
#fail possible_values: chances are between 0 and 1, nothing is negative or missing
SELECT COUNT(*) AS violations FROM model_predictions_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (
    p_order_30 IS NULL OR p_order_30 < 0 OR p_order_90 > 1 OR orders_365 IS NULL OR orders_365 < 0
    OR p_alive < 0 OR p_alive > 1 OR value_low > value_high
    OR (source = 'model' AND (value_mean IS NULL OR value_mean < 0))
  )
#warn model_in_use: a naive rule did as well as the models
SELECT COUNT(CASE WHEN source = 'naive' THEN 1 END) AS violations
FROM model_predictions_v1 WHERE tenant = :tenant AND dt = :as_of
