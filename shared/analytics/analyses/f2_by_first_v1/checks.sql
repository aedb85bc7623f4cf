#fail rate_is_a_share: nobody buys a second time without a first
SELECT COUNT(*) AS violations FROM f2_by_first_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (second_buyers > mature_customers OR mature_customers > customers OR (mature_customers = 0) <> (f2_rate IS NULL))
