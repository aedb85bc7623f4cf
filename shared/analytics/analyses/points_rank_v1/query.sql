-- ポイント・会員ランク (A16): what the member systems last said, with what the members bought.
WITH
--> rows.sql,
buyers AS (
  SELECT customer_id, orders, amount
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
sums AS (
  SELECT
    judged.store,
    judged.member_rank,
    COUNT(*) AS customers,
    SUM(CASE WHEN judged.balance > 0 THEN 1 ELSE 0 END) AS holders,
    SUM(judged.balance) AS balance,
    SUM(CASE WHEN judged.expiring > 0 THEN 1 ELSE 0 END) AS expiring_customers,
    SUM(judged.expiring) AS expiring,
    COUNT(buyers.customer_id) AS buyers,
    COALESCE(SUM(buyers.orders), 0) AS orders,
    COALESCE(SUM(buyers.amount), 0) AS amount
  FROM judged
  LEFT JOIN buyers ON buyers.customer_id = judged.customer_id
  GROUP BY judged.store, judged.member_rank
)
SELECT
  store,
  member_rank,
  CAST(customers AS bigint) AS customers,
  CAST(holders AS bigint) AS holders,
  CAST(balance AS bigint) AS balance,
  CAST(expiring_customers AS bigint) AS expiring_customers,
  CAST(expiring AS bigint) AS expiring,
  CAST(buyers AS bigint) AS buyers,
  CAST(orders AS bigint) AS orders,
  CAST(amount AS bigint) AS amount,
  CAST(amount AS double) / NULLIF(buyers, 0) AS amount_per_buyer
FROM sums
