-- 購入周期 by item (definitions.md §10): Kaplan–Meier as in purchase_cycle_v1, per product, category and for the shop. Two
-- orders of one day are one occasion; 定期 deliveries are no occasions of single purchases.
WITH
--> rows.sql,
gaps AS (
  SELECT
    level,
    item,
    customer_id,
    label,
    DATE_DIFF('day', ordered_on, COALESCE(next_on, :as_of)) AS gap,
    CASE WHEN next_on IS NULL THEN 0 ELSE 1 END AS ended
  FROM occasions
),
people AS (
  SELECT
    level,
    item,
    MIN(label) AS label,
    COUNT(DISTINCT customer_id) AS customers,
    COUNT(DISTINCT CASE WHEN ended = 1 THEN customer_id END) AS came_again,
    SUM(ended) AS finished,
    COUNT(*) - SUM(ended) AS still_open,
    SUM(ended * gap) AS finished_days
  FROM gaps
  GROUP BY level, item
),
days AS (
  SELECT level, item, gap, SUM(ended) AS finished, COUNT(*) AS gaps_of_day
  FROM gaps
  GROUP BY level, item, gap
),
risk AS (
  SELECT
    level,
    item,
    gap,
    finished,
    SUM(gaps_of_day) OVER (PARTITION BY level, item ORDER BY gap DESC ROWS UNBOUNDED PRECEDING) AS at_risk,
    SUM(finished) OVER (PARTITION BY level, item ORDER BY gap ROWS UNBOUNDED PRECEDING) AS finished_by,
    SUM(finished) OVER (PARTITION BY level, item) AS all_finished
  FROM days
),
curve AS (
  SELECT
    level,
    item,
    gap,
    finished_by,
    all_finished,
    MAX(CASE WHEN finished = at_risk THEN 1 ELSE 0 END) OVER (
      PARTITION BY level, item ORDER BY gap ROWS UNBOUNDED PRECEDING
    ) AS ended_all,
    SUM(
      LN(CASE WHEN finished = at_risk THEN 1 ELSE 1 - CAST(finished AS double) / NULLIF(at_risk, 0) END)
    ) OVER (PARTITION BY level, item ORDER BY gap ROWS UNBOUNDED PRECEDING) AS log_survival
  FROM risk
),
medians AS (
  SELECT
    level,
    item,
    MIN(CASE WHEN all_finished > 0 AND finished_by * 2 >= all_finished THEN gap END) AS lower,
    MIN(CASE WHEN all_finished > 0 AND finished_by * 2 > all_finished THEN gap END) AS upper,
    -- A billionth of slack: exp(sum(ln)) of an exact half may come out just above it.
    MIN(CASE WHEN ended_all = 1 OR EXP(log_survival) <= 0.500000001 THEN gap END) AS cycle
  FROM curve
  GROUP BY level, item
)
SELECT
  people.level,
  people.item,
  people.label,
  CAST(people.customers AS bigint) AS customers,
  CAST(people.came_again AS bigint) AS came_again,
  CAST(people.finished AS bigint) AS finished,
  CAST(people.still_open AS bigint) AS still_open,
  CAST(people.finished_days AS bigint) AS finished_days,
  CAST(people.finished_days AS double) / NULLIF(people.finished, 0) AS mean_days,
  (medians.lower + medians.upper) * CAST(0.5 AS double) AS naive_median_days,
  CAST(medians.cycle AS integer) AS median_days,
  CASE WHEN medians.cycle IS NULL THEN '算出不可' WHEN people.finished < 30 THEN '参考値' ELSE '' END AS verdict
FROM people
INNER JOIN medians ON medians.level = people.level AND medians.item = people.item
