#fail one_status_each: every buyer has exactly one status
SELECT ABS(
  (SELECT COUNT(*) FROM status_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(DISTINCT customer_id) FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail known_status: no status outside the five
SELECT COUNT(*) AS violations FROM status_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (status NOT IN ('dormant', 'at_risk', 'loyal', 'new', 'promising') OR status_since > :as_of)
