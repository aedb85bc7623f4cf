WITH
--> rows.sql
SELECT 'members' AS counted, metric, dimension, segment, customer_id
FROM members
WHERE weeks_ago = 0
UNION ALL
SELECT CASE WHEN responded = 1 THEN 'responders' ELSE 'silent' END AS counted, metric, dimension, segment, customer_id
FROM members
WHERE weeks_ago = 0
