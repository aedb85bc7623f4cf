#fail three_each: everybody is in one status, one rank and one tier
SELECT ABS(
  (SELECT COUNT(*) FROM segments_v1 WHERE tenant = :tenant AND dt = :as_of)
  - 3 * (SELECT COUNT(*) FROM customer_scores_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
