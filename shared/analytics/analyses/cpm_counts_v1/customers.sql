SELECT 'customers' AS counted, cpm_group, customer_id
FROM cpm_v1
WHERE tenant = :tenant
  AND dt = :as_of
