SELECT 'customers' AS counted, r, f, customer_id
FROM rfm_v1
WHERE tenant = :tenant
  AND dt = :as_of
