#fail everybody_scored: whoever has a status has scores
SELECT ABS(
  (SELECT COUNT(*) FROM customer_scores_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM status_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
