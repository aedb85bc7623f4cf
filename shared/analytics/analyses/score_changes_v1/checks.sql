#fail one_change_each: nobody changes twice in one run
SELECT COUNT(*) - COUNT(DISTINCT customer_id) AS violations
FROM score_changes_v1 WHERE tenant = :tenant AND dt = :as_of
