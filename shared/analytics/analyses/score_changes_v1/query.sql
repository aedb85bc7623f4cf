-- Only the people of whom something else is found than on the last day that was written back: scores, or the saved
-- segments they are in; status null = no buyer (any more: every order cancelled, or merged into another person).
WITH scores AS (
  SELECT dt, customer_id, status, status_since, ltv_tier, rfm_r, rfm_f, rfm_m, rfm_rank, next_order_on
  FROM customer_scores_v1
  WHERE tenant = :tenant AND dt IN (:as_of, :written_on)
),
memberships AS (
  SELECT dt, customer_id, ARRAY_JOIN(ARRAY_AGG(segment ORDER BY segment), ',') AS segments
  FROM segment_members_v1
  WHERE tenant = :tenant AND dt IN (:as_of, :written_on)
  GROUP BY dt, customer_id
),
people AS (
  SELECT
    COALESCE(scores.dt, memberships.dt) AS found_on,
    COALESCE(scores.customer_id, memberships.customer_id) AS customer_id,
    scores.status,
    scores.status_since,
    scores.ltv_tier,
    scores.rfm_r,
    scores.rfm_f,
    scores.rfm_m,
    scores.rfm_rank,
    scores.next_order_on,
    COALESCE(memberships.segments, '') AS segments
  FROM scores
  FULL OUTER JOIN memberships ON memberships.customer_id = scores.customer_id AND memberships.dt = scores.dt
),
today AS (
  SELECT customer_id, status, status_since, ltv_tier, rfm_r, rfm_f, rfm_m, rfm_rank, next_order_on, segments
  FROM people
  WHERE found_on = :as_of
),
earlier AS (
  SELECT customer_id, status, status_since, ltv_tier, rfm_r, rfm_f, rfm_m, rfm_rank, next_order_on, segments
  FROM people
  WHERE found_on = :written_on
)
SELECT
  COALESCE(today.customer_id, earlier.customer_id) AS customer_id,
  today.status,
  today.status_since,
  today.ltv_tier,
  today.rfm_r,
  today.rfm_f,
  today.rfm_m,
  today.rfm_rank,
  today.next_order_on,
  COALESCE(today.segments, '') AS segments
FROM today
FULL OUTER JOIN earlier ON earlier.customer_id = today.customer_id
WHERE today.status IS DISTINCT FROM earlier.status
  OR today.status_since IS DISTINCT FROM earlier.status_since
  OR today.ltv_tier IS DISTINCT FROM earlier.ltv_tier
  OR today.rfm_r IS DISTINCT FROM earlier.rfm_r
  OR today.rfm_f IS DISTINCT FROM earlier.rfm_f
  OR today.rfm_m IS DISTINCT FROM earlier.rfm_m
  OR today.rfm_rank IS DISTINCT FROM earlier.rfm_rank
  OR today.next_order_on IS DISTINCT FROM earlier.next_order_on
  OR today.segments IS DISTINCT FROM earlier.segments
