#fail one_row_per_contract: a contract stands once
SELECT COUNT(*) AS violations FROM (
  SELECT source, store, subscription_id FROM contracts_v1
  WHERE tenant = :tenant AND dt = :as_of GROUP BY source, store, subscription_id HAVING COUNT(*) > 1
) AS repeated
#warn without_number: contracts of which no delivery is known
SELECT COUNT(CASE WHEN deliveries = 0 THEN 1 END) AS violations FROM contracts_v1 WHERE tenant = :tenant AND dt = :as_of
