-- What the shop's live state is told about each buyer: one row, from the day's RFM, status and predictions.
-- On a night whose models failed, 潜在 is what the run before predicted: one failed step changes nobody.
WITH today AS (
  SELECT customer_id, ltv_tier
  FROM customer_predictions_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
earlier AS (
  SELECT customer_id, ltv_tier
  FROM customer_predictions_v1
  WHERE tenant = :tenant
    AND dt = :previous_on
)
SELECT
  status_v1.customer_id,
  status_v1.status,
  status_v1.status_since,
  CASE
    WHEN status_v1.ltv_tier = 'high' THEN 'high'
    WHEN COALESCE(today.ltv_tier, earlier.ltv_tier) = 'potential' THEN 'potential'
    ELSE 'low'
  END AS ltv_tier,
  rfm_v1.r AS rfm_r,
  rfm_v1.f AS rfm_f,
  rfm_v1.m AS rfm_m,
  rfm_v1.rank AS rfm_rank,
  -- 次回購入予定日: the last order plus the purchase cycle that the status was judged by.
  CAST(
    DATE_ADD('day', CAST(ROUND(status_v1.cycle_days) AS integer) - status_v1.recency_days, :as_of) AS date
  ) AS next_order_on
FROM status_v1
INNER JOIN rfm_v1
  ON rfm_v1.customer_id = status_v1.customer_id
  AND rfm_v1.tenant = status_v1.tenant
  AND rfm_v1.dt = status_v1.dt
LEFT JOIN today ON today.customer_id = status_v1.customer_id
LEFT JOIN earlier ON earlier.customer_id = status_v1.customer_id
WHERE status_v1.tenant = :tenant
  AND status_v1.dt = :as_of
  AND rfm_v1.tenant = :tenant
  AND rfm_v1.dt = :as_of
