-- RFM (definitions.md §2): six bins each, 6 is best. Upper limits of R and lower limits of F and M are inclusive.
WITH counted AS (
  SELECT customer_id, recency_days, rfm_orders AS orders, rfm_amount AS amount
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
bins AS (
  SELECT
    customer_id,
    recency_days,
    orders,
    amount,
--> ../rfm_bins.sql
  FROM counted
)
SELECT
  customer_id,
  recency_days,
  orders,
  amount,
  r,
  f,
  m,
--> ../rfm_rank.sql
FROM bins
