-- LTV by formula (definitions.md §4), for comparison only: nothing is measured but the mean order and the repeat rate.
--   two_term    A + A·r       受注金額 + 受注金額 × リピート率: the first two terms of the series, so several repeats are lost
--   geometric   A ÷ (1 − r)   the limit of the same series; null when everybody repeats
WITH sums AS (
  SELECT
    COUNT(*) AS customers,
    COUNT(CASE WHEN orders >= 2 THEN 1 END) AS repeat_customers,
    -- Orders in another currency have no amount here, and dilute no average.
    COALESCE(SUM(orders - foreign_orders), 0) AS orders,
    COALESCE(SUM(amount), 0) AS amount
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
measured AS (
  SELECT
    customers,
    repeat_customers,
    orders,
    amount,
    CAST(amount AS double) / NULLIF(orders, 0) AS mean_order_amount,
    CAST(repeat_customers AS double) / NULLIF(customers, 0) AS repeat_rate,
    CAST(customers - repeat_customers AS double) / NULLIF(customers, 0) AS once_rate
  FROM sums
)
SELECT
  variants.variant,
  CAST(customers AS bigint) AS customers,
  CAST(repeat_customers AS bigint) AS repeat_customers,
  CAST(orders AS bigint) AS orders,
  CAST(amount AS bigint) AS amount,
  mean_order_amount,
  repeat_rate,
  CASE
    WHEN variants.variant = 'two_term' THEN mean_order_amount + mean_order_amount * repeat_rate
    ELSE CAST(mean_order_amount AS double) / NULLIF(once_rate, 0)
  END AS ltv
FROM measured
CROSS JOIN (VALUES 'two_term', 'geometric') AS variants (variant)
