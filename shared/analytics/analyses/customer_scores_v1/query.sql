-- What the shop's live state is told about each buyer: one row, from the day's RFM and status.
SELECT
  status_v1.customer_id,
  status_v1.status,
  status_v1.status_since,
  status_v1.ltv_tier,
  rfm_v1.r AS rfm_r,
  rfm_v1.f AS rfm_f,
  rfm_v1.m AS rfm_m,
  rfm_v1.rank AS rfm_rank
FROM status_v1
INNER JOIN rfm_v1
  ON rfm_v1.customer_id = status_v1.customer_id
  AND rfm_v1.tenant = status_v1.tenant
  AND rfm_v1.dt = status_v1.dt
WHERE status_v1.tenant = :tenant
  AND status_v1.dt = :as_of
  AND rfm_v1.tenant = :tenant
  AND rfm_v1.dt = :as_of
