SELECT
  'customers' AS counted,
  product_id,
  CASE WHEN number = 1 THEN 'new_to_shop' WHEN product_number = 1 THEN 'new_to_product' ELSE 'repeat' END AS buyer_class,
  customer_id
FROM lines_v1
WHERE tenant = :tenant
  AND dt = :as_of
  AND ordered_on > CAST(DATE_ADD('day', -:period_days, :as_of) AS date)
