#fail positive_spend: a band has customers and a value
SELECT COUNT(*) AS violations FROM model_spend_v1
WHERE tenant = :tenant AND dt = :as_of AND (customers < 1 OR mean <= 0 OR orders < 1)
#warn foreign_currency: who ordered in another currency is left out
SELECT COUNT(*) AS violations FROM buyers_v1
WHERE tenant = :tenant AND dt = :as_of AND foreign_orders > 0
