SELECT 'customers' AS counted, COALESCE(previous_status, 'none') AS from_status, status AS to_status, customer_id
FROM status_v1
WHERE tenant = :tenant
  AND dt = :as_of
  AND status IS DISTINCT FROM previous_status
