#fail placed_once: calls are ordered 1, 2, 3 …
SELECT ABS(COUNT(*) - COALESCE(MAX(place), 0)) AS violations
FROM cancellation_risk_v1 WHERE tenant = :tenant AND dt = :as_of
#fail possible_scores: hazard and score are between 0 and 1
SELECT COUNT(*) AS violations FROM cancellation_risk_v1
WHERE tenant = :tenant AND dt = :as_of AND (hazard < 0 OR hazard > 1 OR score < 0 OR score > 1)
#warn something_to_learn_from: no contract has been cancelled or has gone on, so only the factors order the calls
SELECT COUNT(CASE WHEN hazard IS NULL THEN 1 END) AS violations
FROM cancellation_risk_v1 WHERE tenant = :tenant AND dt = :as_of
