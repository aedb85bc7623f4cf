#fail one_row_per_person: everybody is there once
SELECT COUNT(*) - COUNT(DISTINCT customer_id) AS violations
FROM customer_states_v1
WHERE tenant = :tenant AND dt = :as_of
