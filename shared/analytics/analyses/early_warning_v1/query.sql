-- 早期警戒 (C14, definitions.md §14): a segment's response of the last seven days against its own baseline_weeks, one-sided
-- two-proportion z test. Opens decide nothing (machines open), so a mail's response is a click; the other is an order by
-- somebody active. Weeks have the same weekdays. A shop's weeks differ by more than people do: z is divided by how much
-- more (overdispersion of the baseline's weeks, never below 1) and read as t with weeks − 1 degrees of freedom; every p
-- counts as often as the dimension has segments that are judged (Bonferroni). Fewer than minimum_people, than four weeks,
-- or than five responses expected: 判定不可.
WITH
--> rows.sql,
weekly AS (
  SELECT metric, dimension, segment, weeks_ago, COUNT(*) AS members, SUM(responded) AS responders
  FROM members
  GROUP BY metric, dimension, segment, weeks_ago
),
counts AS (
  SELECT
    metric,
    dimension,
    segment,
    SUM(CASE WHEN weeks_ago = 0 THEN members ELSE 0 END) AS members,
    SUM(CASE WHEN weeks_ago = 0 THEN responders ELSE 0 END) AS responders,
    COUNT(CASE WHEN weeks_ago > 0 THEN 1 END) AS weeks,
    SUM(CASE WHEN weeks_ago > 0 THEN members ELSE 0 END) AS baseline_members,
    SUM(CASE WHEN weeks_ago > 0 THEN responders ELSE 0 END) AS baseline_responders,
    -- Of responders²/members the sum over weeks: what the chi-square of the weeks is made of.
    SUM(CASE WHEN weeks_ago > 0 THEN CAST(responders * responders AS double) / NULLIF(members, 0) END) AS squares
  FROM weekly
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
    squares,
    CAST(responders AS double) / NULLIF(members, 0) AS response_rate,
    CAST(baseline_responders AS double) / NULLIF(baseline_members, 0) AS baseline_rate,
    CAST(responders + baseline_responders AS double) / NULLIF(members + baseline_members, 0) AS pooled
  FROM counts
),
spread AS (
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
    ) AS z,
    CAST(squares - baseline_responders * baseline_rate AS double)
      / NULLIF(baseline_rate * (1 - baseline_rate) * (weeks - 1), 0) AS dispersion,
    CAST(weeks - 1 AS double) AS freedom
  FROM rates
),
deviates AS (
  SELECT
    metric,
    dimension,
    segment,
    CAST(z AS double) / NULLIF(SQRT(CASE WHEN dispersion > 1 THEN dispersion ELSE 1 END), 0) AS t,
    freedom
  FROM spread
),
--> ../lower_tail.sql,
judged AS (
  SELECT
    rates.metric,
    rates.dimension,
    rates.segment,
    chances.chance,
    rates.members >= :minimum_people AND rates.weeks >= 4 AND rates.members * COALESCE(rates.baseline_rate, 0) >= 5
      AND chances.chance IS NOT NULL AS enough
  FROM rates
  INNER JOIN deviates
    ON deviates.metric = rates.metric
    AND deviates.dimension = rates.dimension
    AND deviates.segment = rates.segment
  LEFT JOIN chances ON chances.t = deviates.t AND chances.freedom = deviates.freedom
),
compared AS (
  SELECT
    metric,
    dimension,
    segment,
    enough,
    chance * GREATEST(SUM(CASE WHEN enough THEN 1 ELSE 0 END) OVER (PARTITION BY metric, dimension), 1) AS corrected
  FROM judged
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
  CAST(CASE WHEN compared.corrected > 1 THEN 1 ELSE compared.corrected END AS double) AS p_value,
  CASE
    WHEN NOT compared.enough THEN '判定不可'
    WHEN compared.corrected * 100 < :significance_percent THEN '低下'
    ELSE '通常'
  END AS verdict
FROM rates
INNER JOIN compared
  ON compared.metric = rates.metric
  AND compared.dimension = rates.dimension
  AND compared.segment = rates.segment
