#fail top_five: at most five per base and order, and none by more people than the base
SELECT COUNT(*) AS violations FROM copurchase_v1
WHERE tenant = :tenant AND dt = :as_of AND (NOT place BETWEEN 1 AND 5 OR customers > base_customers)
