SELECT 'customers' AS counted, status, customer_id
FROM status_v1
WHERE tenant = :tenant AND dt = :as_of
UNION ALL
SELECT 'entered' AS counted, status, customer_id
FROM status_v1
WHERE tenant = :tenant AND dt = :as_of AND status_since = :as_of
UNION ALL
SELECT 'high_ltv' AS counted, status, customer_id
FROM status_v1
WHERE tenant = :tenant AND dt = :as_of AND ltv_tier = 'high'
