-- 継続率 and 平均購入単価 of each segment (definitions.md §6, B7). A segment that is made of the silence itself (休眠) has
-- the rate it is defined by.
WITH
--> rows.sql,
sums AS (
  SELECT
    segment,
    COUNT(*) AS customers,
    SUM(orders) AS orders,
    SUM(amount) AS amount,
    SUM(CASE WHEN outcome = 'continued' THEN 1 ELSE 0 END) AS continued,
    SUM(CASE WHEN outcome = 'churned' THEN 1 ELSE 0 END) AS churned,
    SUM(CASE WHEN outcome = 'undecided' THEN 1 ELSE 0 END) AS undecided
  FROM people
  GROUP BY segment
)
SELECT
  segment,
  CAST(customers AS bigint) AS customers,
  CAST(orders AS bigint) AS orders,
  CAST(amount AS bigint) AS amount,
  CAST(continued AS bigint) AS continued,
  CAST(churned AS bigint) AS churned,
  CAST(undecided AS bigint) AS undecided,
  CAST(continued AS double) / NULLIF(continued + churned, 0) AS continuation_rate,
  CAST(amount AS double) / NULLIF(orders, 0) AS average_order_amount,
  CAST(amount AS double) / NULLIF(customers, 0) AS amount_per_customer
FROM sums
