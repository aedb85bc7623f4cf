-- 早期警戒 (C14, definitions.md §14): a segment's response of the last seven days against its own baseline_weeks, one-sided
-- two-proportion z test. Opens decide nothing (machines open), so a mail's response is a click; the other is an order by
-- somebody active. Weeks have the same weekdays. Fewer than minimum_people, than four weeks, or than five responses
-- expected: 判定不可.
WITH
--> rows.sql,
counts AS (
  SELECT
    metric,
    dimension,
    segment,
    SUM(CASE WHEN weeks_ago = 0 THEN 1 ELSE 0 END) AS members,
    SUM(CASE WHEN weeks_ago = 0 THEN responded ELSE 0 END) AS responders,
    COUNT(DISTINCT CASE WHEN weeks_ago > 0 THEN weeks_ago END) AS weeks,
    SUM(CASE WHEN weeks_ago > 0 THEN 1 ELSE 0 END) AS baseline_members,
    SUM(CASE WHEN weeks_ago > 0 THEN responded ELSE 0 END) AS baseline_responders
  FROM members
  GROUP BY metric, dimension, segment
),
rates AS (
  SELECT
    metric,
    dimension,
    segment,
    members,
    responders,
    weeks,
    baseline_members,
    baseline_responders,
    CAST(responders AS double) / NULLIF(members, 0) AS response_rate,
    CAST(baseline_responders AS double) / NULLIF(baseline_members, 0) AS baseline_rate,
    CAST(responders + baseline_responders AS double) / NULLIF(members + baseline_members, 0) AS pooled
  FROM counts
),
tested AS (
  SELECT
    metric,
    dimension,
    segment,
    CAST(response_rate - baseline_rate AS double) / NULLIF(
      SQRT(
        pooled * (1 - pooled)
        * (CAST(1 AS double) / NULLIF(members, 0) + CAST(1 AS double) / NULLIF(baseline_members, 0))
      ),
      0
    ) AS z
  FROM rates
),
--> ../normal_tail.sql,
judged AS (
  SELECT tested.metric, tested.dimension, tested.segment, CASE WHEN tested.z < 0 THEN tails.tail ELSE 1 - tails.tail END AS p_value
  FROM tested
  INNER JOIN tails ON tails.z = tested.z
)
SELECT
  rates.metric,
  rates.dimension,
  rates.segment,
  CAST(rates.members AS bigint) AS members,
  CAST(rates.responders AS bigint) AS responders,
  CAST(rates.members - rates.responders AS bigint) AS silent,
  CAST(rates.weeks AS integer) AS weeks,
  CAST(rates.baseline_members AS bigint) AS baseline_members,
  CAST(rates.baseline_responders AS bigint) AS baseline_responders,
  rates.response_rate,
  rates.baseline_rate,
  CAST(judged.p_value AS double) AS p_value,
  CASE
    WHEN rates.members < :minimum_people OR rates.weeks < 4 OR rates.members * COALESCE(rates.baseline_rate, 0) < 5 THEN '判定不可'
    WHEN judged.p_value IS NULL THEN '判定不可'
    WHEN judged.p_value * 100 < :significance_percent THEN '低下'
    ELSE '通常'
  END AS verdict
FROM rates
LEFT JOIN judged
  ON judged.metric = rates.metric
  AND judged.dimension = rates.dimension
  AND judged.segment = rates.segment
