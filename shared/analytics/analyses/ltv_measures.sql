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
