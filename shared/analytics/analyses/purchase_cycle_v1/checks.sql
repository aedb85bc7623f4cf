#fail survival_is_a_share: a survival curve falls from 1 to 0
SELECT COUNT(*) AS violations FROM purchase_cycle_v1
WHERE tenant = :tenant AND dt = :as_of AND (survival < 0 OR survival > 1 OR finished > at_risk)
#fail one_median: at most one cycle
SELECT CASE WHEN COUNT(CASE WHEN median THEN 1 END) > 1 THEN 1 ELSE 0 END AS violations
FROM purchase_cycle_v1 WHERE tenant = :tenant AND dt = :as_of
#warn enough_gaps: below 30 finished gaps the cycle is a guess
SELECT CASE WHEN COALESCE(SUM(finished), 0) < 30 THEN 1 ELSE 0 END AS violations
FROM purchase_cycle_v1 WHERE tenant = :tenant AND dt = :as_of
