-- What gamma-gamma learns from: customers by purchase days and mean value of one, in bands of 2 % of the value.
-- All purchase days count, the first too: it is all that is known of who bought once.
WITH spent AS (
  SELECT
    COALESCE(CARDINALITY(gaps), 0) + 1 AS orders,
    CAST(amount AS double) / NULLIF(COALESCE(CARDINALITY(gaps), 0) + 1, 0) AS mean
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND amount > 0
    AND foreign_orders = 0
)
SELECT
  CAST(orders AS integer) AS orders,
  CAST(COUNT(*) AS bigint) AS customers,
  CAST(AVG(mean) AS double) AS mean
FROM spent
GROUP BY orders, CAST(FLOOR(LN(mean) * 50) AS bigint)
