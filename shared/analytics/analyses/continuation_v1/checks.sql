#fail three_ways: continued, churned and undecided sum to those who reached k
SELECT COUNT(*) AS violations FROM continuation_v1
WHERE tenant = :tenant AND dt = :as_of AND continued + churned + undecided <> reached
#fail everybody_reached_one: all buyers reached the first order
SELECT ABS(
  (SELECT COALESCE(SUM(reached), 0) FROM continuation_v1 WHERE tenant = :tenant AND dt = :as_of AND order_count = 1)
  - (SELECT COUNT(*) FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
