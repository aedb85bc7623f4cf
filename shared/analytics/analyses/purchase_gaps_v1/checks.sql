#fail survival_is_a_share: a survival curve falls from 1 to 0
SELECT COUNT(*) AS violations FROM purchase_gaps_v1
WHERE tenant = :tenant AND dt = :as_of AND (survival < 0 OR survival > 1 OR finished > at_risk OR came_again > customers)
#fail everybody_came_once: the first purchase is everybody's
SELECT ABS(
  (SELECT COALESCE(MAX(customers), 0) FROM purchase_gaps_v1 WHERE tenant = :tenant AND dt = :as_of AND from_order = 1)
  - (SELECT COUNT(DISTINCT customer_id) FROM orders_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail finished_sum: the distribution sums to those who came again
SELECT COUNT(*) AS violations FROM (
  SELECT SUM(finished) AS finished, MAX(came_again) AS came_again
  FROM purchase_gaps_v1 WHERE tenant = :tenant AND dt = :as_of GROUP BY from_order
) AS curves
WHERE finished <> came_again
