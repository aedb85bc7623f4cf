-- LTV推移 by 媒体 (definitions.md §3): the media part of ltv_by_first_v1.
SELECT
  entry AS media,
  anchor,
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
  AND dimension = 'media'
