#fail three_ways: continued, churned and undecided sum to the buyers
SELECT COUNT(*) AS violations FROM continuation_months_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (continued + churned + undecided <> customers OR new_customers > customers OR orders < customers)
