SELECT 'customers' AS counted, from_rank, to_rank, customer_id
FROM rfm_dates_v1
WHERE tenant = :tenant
  AND dt = :as_of
