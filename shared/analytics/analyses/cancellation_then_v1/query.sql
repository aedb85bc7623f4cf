-- What the score said four weeks ago, knowing what was known then, and beside it the rule that needs no score: early
-- deliveries are where contracts end. Once a week, after a Sunday.
SELECT
  source,
  store,
  subscription_id,
  :as_of AS ranked_on,
  place,
  CAST(
    ROW_NUMBER() OVER (ORDER BY delivery_number, call_by_on, source, store, subscription_id) AS integer
  ) AS newest_place
FROM cancellation_risk_v1
WHERE tenant = :tenant
  AND dt = :as_of
  AND MOD(DATE_DIFF('day', DATE '2024-01-07', :as_of), 7) = 0
