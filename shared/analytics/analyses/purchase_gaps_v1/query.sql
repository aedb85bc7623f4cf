-- 転換日数: how many days from the n-th purchase to the next? Beside the median of the finished gaps (naive, too short:
-- the long ones are still open) the Kaplan–Meier median, with every open gap censored on the as-of day.
-- Two orders of one day are one occasion, as in purchase_cycle_v1.
WITH
--> rows.sql,
gaps AS (
  SELECT
    number,
    DATE_DIFF('day', ordered_on, COALESCE(next_on, :as_of)) AS gap,
    CASE WHEN next_on IS NULL THEN 0 ELSE 1 END AS ended
  FROM occasions
  WHERE number <= :followed_orders
),
days AS (
  SELECT number, gap, SUM(ended) AS finished, COUNT(*) - SUM(ended) AS still_open
  FROM gaps
  GROUP BY number, gap
),
risk AS (
  SELECT
    number,
    gap,
    finished,
    still_open,
    SUM(finished + still_open) OVER (PARTITION BY number ORDER BY gap DESC ROWS UNBOUNDED PRECEDING) AS at_risk,
    SUM(finished) OVER (PARTITION BY number ORDER BY gap ROWS UNBOUNDED PRECEDING) AS finished_by,
    SUM(finished) OVER (PARTITION BY number) AS came_again,
    SUM(finished + still_open) OVER (PARTITION BY number) AS customers,
    SUM(finished * gap) OVER (PARTITION BY number) AS finished_days,
    MIN(gap) OVER (PARTITION BY number) AS shortest
  FROM days
),
steps AS (
  SELECT
    number,
    gap,
    finished,
    still_open,
    at_risk,
    finished_by,
    came_again,
    customers,
    finished_days,
    shortest,
    -- ln(0) is an error in one engine and minus infinity in the other: the last step to zero is a case of its own.
    MAX(CASE WHEN finished = at_risk THEN 1 ELSE 0 END) OVER (
      PARTITION BY number ORDER BY gap ROWS UNBOUNDED PRECEDING
    ) AS ended_all,
    SUM(
      LN(CASE WHEN finished = at_risk THEN 1 ELSE 1 - CAST(finished AS double) / NULLIF(at_risk, 0) END)
    ) OVER (PARTITION BY number ORDER BY gap ROWS UNBOUNDED PRECEDING) AS log_survival
  FROM risk
),
curve AS (
  SELECT
    number,
    gap,
    finished,
    still_open,
    at_risk,
    finished_by,
    came_again,
    customers,
    finished_days,
    shortest,
    CASE WHEN ended_all = 1 THEN 0 ELSE EXP(log_survival) END AS survival
  FROM steps
),
medians AS (
  SELECT
    number,
    gap,
    finished,
    still_open,
    at_risk,
    came_again,
    customers,
    finished_days,
    shortest,
    survival,
    MIN(CASE WHEN finished_by * 2 >= came_again THEN gap END) OVER (PARTITION BY number) AS lower,
    MIN(CASE WHEN finished_by * 2 > came_again THEN gap END) OVER (PARTITION BY number) AS upper,
    -- A billionth of slack: exp(sum(ln)) of an exact half may come out just above it.
    MIN(CASE WHEN survival <= 0.500000001 THEN gap END) OVER (PARTITION BY number) AS cycle
  FROM curve
)
SELECT
  CAST(number AS integer) AS from_order,
  CAST(customers AS bigint) AS customers,
  CAST(came_again AS bigint) AS came_again,
  CAST(finished_days AS bigint) AS finished_days,
  CAST(finished_days AS double) / NULLIF(came_again, 0) AS mean_days,
  (lower + upper) * CAST(0.5 AS double) AS naive_median_days,
  CAST(cycle AS integer) AS median_days,
  CASE WHEN cycle IS NULL THEN '算出不可' ELSE '' END AS verdict,
  CAST(CASE WHEN finished > 0 THEN gap END AS integer) AS gap_days,
  CAST(finished AS bigint) AS finished,
  CAST(still_open AS bigint) AS still_open,
  CAST(at_risk AS bigint) AS at_risk,
  CAST(survival AS double) AS survival
FROM medians
-- Where nobody came again one row says so.
WHERE finished > 0
  OR (came_again = 0 AND gap = shortest)
