-- How many people are in each status, what they spent, and how many came into it on the as-of day.
WITH statuses AS (
  SELECT status
  FROM (VALUES 'dormant', 'at_risk', 'loyal', 'new', 'promising') AS known (status)
),
counts AS (
  SELECT
    status,
    COUNT(*) AS customers,
    SUM(amount) AS amount,
    COUNT_IF(status_since = :as_of) AS entered,
    COUNT_IF(ltv_tier = 'high') AS high_ltv
  FROM status_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY status
)
SELECT
  statuses.status,
  CAST(COALESCE(counts.customers, 0) AS bigint) AS customers,
  CAST(COALESCE(counts.amount, 0) AS bigint) AS amount,
  CAST(COALESCE(counts.entered, 0) AS bigint) AS entered,
  CAST(COALESCE(counts.high_ltv, 0) AS bigint) AS high_ltv
FROM statuses
LEFT JOIN counts ON counts.status = statuses.status
