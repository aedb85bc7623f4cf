SELECT
  'customers' AS counted,
  CAST(NTILE(10) OVER (ORDER BY amount DESC, customer_id) AS integer) AS decile,
  customer_id
FROM buyers_v1
WHERE tenant = :tenant
  AND dt = :as_of
