-- Purchase cycle of the shop by Kaplan–Meier: after how many days had half of the gaps ended with an order?
-- The gap still open on the as-of day is censored: leaving it out would make the cycle too short.
WITH gaps AS (
  SELECT finished.gap, 1 AS ended
  FROM buyers_v1
  CROSS JOIN UNNEST(buyers_v1.gaps) AS finished (gap)
  WHERE tenant = :tenant AND dt = :as_of
  UNION ALL
  SELECT recency_days AS gap, 0 AS ended
  FROM buyers_v1
  WHERE tenant = :tenant AND dt = :as_of
),
days AS (
  SELECT gap, SUM(ended) AS finished, COUNT(*) - SUM(ended) AS still_open
  FROM gaps
  GROUP BY gap
),
risk AS (
  SELECT
    gap,
    finished,
    still_open,
    SUM(finished + still_open) OVER (ORDER BY gap DESC ROWS UNBOUNDED PRECEDING) AS at_risk
  FROM days
),
steps AS (
  SELECT
    gap,
    finished,
    still_open,
    at_risk,
    -- ln(0) is an error in one engine and minus infinity in the other: the last step to zero is a case of its own.
    MAX(CASE WHEN finished = at_risk THEN 1 ELSE 0 END) OVER (ORDER BY gap ROWS UNBOUNDED PRECEDING) AS ended_all,
    SUM(
      LN(CASE WHEN finished = at_risk THEN 1 ELSE 1 - CAST(finished AS double) / NULLIF(at_risk, 0) END)
    ) OVER (ORDER BY gap ROWS UNBOUNDED PRECEDING) AS log_survival
  FROM risk
),
curve AS (
  SELECT
    gap,
    finished,
    still_open,
    at_risk,
    CASE WHEN ended_all = 1 THEN 0 ELSE EXP(log_survival) END AS survival
  FROM steps
)
SELECT
  CAST(gap AS integer) AS gap_days,
  CAST(finished AS bigint) AS finished,
  CAST(still_open AS bigint) AS still_open,
  CAST(at_risk AS bigint) AS at_risk,
  CAST(survival AS double) AS survival,
  -- A billionth of slack: exp(sum(ln)) of an exact half may come out just above it.
  gap = MIN(CASE WHEN survival <= 0.500000001 THEN gap END) OVER () AS median
FROM curve
WHERE finished > 0
