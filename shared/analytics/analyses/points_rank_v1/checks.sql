#fail holders_are_members: nobody holds or loses points who is no member
SELECT COUNT(*) AS violations FROM points_rank_v1
WHERE tenant = :tenant AND dt = :as_of AND (holders > customers OR expiring_customers > holders OR buyers > customers)
