#fail three_ways: continued, churned and undecided sum to the people
SELECT COUNT(*) AS violations FROM segment_values_v1
WHERE tenant = :tenant AND dt = :as_of AND continued + churned + undecided <> customers
