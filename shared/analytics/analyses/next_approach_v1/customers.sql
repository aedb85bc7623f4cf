SELECT 'customers' AS counted, status, customer_id
FROM status_v1
WHERE tenant = :tenant
  AND dt = :as_of
