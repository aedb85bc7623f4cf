#fail six_ways: what became of the contracts sums to those that reached n
SELECT COUNT(*) AS violations FROM subscription_flow_v1
WHERE tenant = :tenant AND dt = :as_of
  AND continued + cancelled + paused + held + expired + undecided <> reached
#fail next_is_continued: who reached n + 1 had continued at n
SELECT COUNT(*) AS violations
FROM (SELECT dimension, box, delivery_number, continued FROM subscription_flow_v1 WHERE tenant = :tenant AND dt = :as_of) AS here
INNER JOIN (SELECT dimension, box, delivery_number, reached FROM subscription_flow_v1 WHERE tenant = :tenant AND dt = :as_of) AS there
  ON there.dimension = here.dimension AND there.box = here.box AND there.delivery_number = here.delivery_number + 1
WHERE there.reached <> here.continued
