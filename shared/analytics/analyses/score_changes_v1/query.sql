-- Only the people whose scores differ from the last day that was written back; status null = no buyer any more
-- (every order cancelled, or merged into another person).
WITH today AS (
  SELECT customer_id, status, status_since, ltv_tier, rfm_r, rfm_f, rfm_m, rfm_rank
  FROM customer_scores_v1
  WHERE tenant = :tenant AND dt = :as_of
),
earlier AS (
  SELECT customer_id, status, status_since, ltv_tier, rfm_r, rfm_f, rfm_m, rfm_rank
  FROM customer_scores_v1
  WHERE tenant = :tenant AND dt = :written_on
)
SELECT
  COALESCE(today.customer_id, earlier.customer_id) AS customer_id,
  today.status,
  today.status_since,
  today.ltv_tier,
  today.rfm_r,
  today.rfm_f,
  today.rfm_m,
  today.rfm_rank
FROM today
FULL OUTER JOIN earlier ON earlier.customer_id = today.customer_id
WHERE today.status IS DISTINCT FROM earlier.status
  OR today.status_since IS DISTINCT FROM earlier.status_since
  OR today.ltv_tier IS DISTINCT FROM earlier.ltv_tier
  OR today.rfm_r IS DISTINCT FROM earlier.rfm_r
  OR today.rfm_f IS DISTINCT FROM earlier.rfm_f
  OR today.rfm_m IS DISTINCT FROM earlier.rfm_m
  OR today.rfm_rank IS DISTINCT FROM earlier.rfm_rank
