-- Purchase cycle of the shop by Kaplan–Meier: after how many days had half of the gaps between single purchases ended
-- with an order? The gap still open on the as-of day is censored: leaving it out would make the cycle too short.
-- Deliveries of subscriptions are no occasions (definitions.md §10); the gaps among all orders are counted beside, for
-- the models.
WITH
--> rows.sql,
gaps AS (
  SELECT gap, ended, 1 - ended AS waiting, 0 AS of_any
  FROM single_gaps
  UNION ALL
  SELECT finished.gap, 0 AS ended, 0 AS waiting, 1 AS of_any
  FROM buyers_v1
  CROSS JOIN UNNEST(buyers_v1.gaps) AS finished (gap)
  WHERE tenant = :tenant AND dt = :as_of
),
days AS (
  SELECT gap, SUM(ended) AS finished, SUM(waiting) AS still_open, SUM(of_any) AS with_deliveries
  FROM gaps
  GROUP BY gap
),
risk AS (
  SELECT
    gap,
    finished,
    still_open,
    with_deliveries,
    SUM(finished + still_open) OVER (ORDER BY gap DESC ROWS UNBOUNDED PRECEDING) AS at_risk
  FROM days
),
steps AS (
  SELECT
    gap,
    finished,
    still_open,
    with_deliveries,
    at_risk,
    -- ln(0) is an error in one engine and minus infinity in the other: the last step to zero is a case of its own.
    MAX(CASE WHEN finished > 0 AND finished = at_risk THEN 1 ELSE 0 END) OVER (ORDER BY gap ROWS UNBOUNDED PRECEDING) AS ended_all,
    SUM(
      LN(CASE WHEN finished = 0 OR finished = at_risk THEN 1 ELSE 1 - CAST(finished AS double) / NULLIF(at_risk, 0) END)
    ) OVER (ORDER BY gap ROWS UNBOUNDED PRECEDING) AS log_survival
  FROM risk
),
curve AS (
  SELECT
    gap,
    finished,
    still_open,
    with_deliveries,
    at_risk,
    CASE WHEN ended_all = 1 THEN 0 ELSE EXP(log_survival) END AS survival
  FROM steps
)
SELECT
  CAST(gap AS integer) AS gap_days,
  CAST(finished AS bigint) AS finished,
  CAST(still_open AS bigint) AS still_open,
  CAST(with_deliveries AS bigint) AS with_deliveries,
  CAST(at_risk AS bigint) AS at_risk,
  CAST(survival AS double) AS survival,
  -- A billionth of slack: exp(sum(ln)) of an exact half may come out just above it.
  gap = MIN(CASE WHEN survival <= 0.500000001 THEN gap END) OVER () AS median
FROM curve
WHERE finished > 0
  OR with_deliveries > 0
