WITH
--> rows.sql
SELECT 'customers' AS counted, store, member_rank, customer_id FROM judged
UNION ALL
SELECT 'holders' AS counted, store, member_rank, customer_id FROM judged WHERE balance > 0
UNION ALL
SELECT 'expiring_customers' AS counted, store, member_rank, customer_id FROM judged WHERE expiring > 0
UNION ALL
SELECT 'buyers' AS counted, judged.store, judged.member_rank, judged.customer_id
FROM judged
INNER JOIN buyers_v1 ON buyers_v1.customer_id = judged.customer_id
WHERE buyers_v1.tenant = :tenant AND buyers_v1.dt = :as_of
