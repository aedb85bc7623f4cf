-- カテゴリ売上低下 (definitions.md §14): the last seven days against the same seven weekdays of the weeks before. A week is
-- low when in fewer than significance_percent of cases any of the categories judged would have a t statistic of its own
-- weeks so low (Bonferroni); below four weeks or minimum_people orders nothing is said.
WITH
--> rows.sql,
open_weeks AS (
  SELECT LEAST(MAX(weeks_ago), :baseline_weeks) AS weeks
  FROM bought
),
sums AS (
  SELECT
    category,
    weeks_ago,
    COALESCE(SUM(amount), 0) AS amount,
    COUNT(DISTINCT order_id) AS orders
  FROM bought
  GROUP BY category, weeks_ago
),
buyers AS (
  SELECT
    category,
    SUM(bought_last) AS last_customers,
    SUM(bought_before) AS baseline_customers,
    SUM(bought_before * (1 - bought_last)) AS missing_customers
  FROM people
  GROUP BY category
),
-- A week without a sale is a week of 0.
grid AS (
  SELECT buyers.category, series.weeks_ago, COALESCE(sums.amount, 0) AS amount, COALESCE(sums.orders, 0) AS orders
  FROM buyers
  CROSS JOIN open_weeks
  CROSS JOIN UNNEST(SEQUENCE(0, :baseline_weeks)) AS series (weeks_ago)
  LEFT JOIN sums ON sums.category = buyers.category AND sums.weeks_ago = series.weeks_ago
  WHERE series.weeks_ago <= open_weeks.weeks
),
measured AS (
  SELECT
    category,
    SUM(CASE WHEN weeks_ago = 0 THEN amount ELSE 0 END) AS last_amount,
    SUM(CASE WHEN weeks_ago > 0 THEN amount ELSE 0 END) AS baseline_amount,
    SUM(CASE WHEN weeks_ago > 0 THEN orders ELSE 0 END) AS baseline_orders,
    COUNT(CASE WHEN weeks_ago > 0 THEN 1 END) AS weeks,
    AVG(CASE WHEN weeks_ago > 0 THEN CAST(amount AS double) END) AS mean_amount,
    STDDEV_SAMP(CASE WHEN weeks_ago > 0 THEN CAST(amount AS double) END) AS deviation
  FROM grid
  GROUP BY category
),
deviates AS (
  SELECT
    category,
    CAST(last_amount - mean_amount AS double)
      / NULLIF(deviation * SQRT(1 + CAST(1 AS double) / NULLIF(weeks, 0)), 0) AS t,
    CAST(weeks - 1 AS double) AS freedom
  FROM measured
),
--> ../lower_tail.sql,
judged AS (
  SELECT
    measured.category,
    chances.chance,
    measured.weeks >= 4 AND measured.baseline_orders >= :minimum_people AND chances.chance IS NOT NULL AS enough
  FROM measured
  INNER JOIN deviates ON deviates.category = measured.category
  LEFT JOIN chances ON chances.t = deviates.t AND chances.freedom = deviates.freedom
),
-- Of twenty categories one looks low by chance alone in most weeks: every p counts as often as categories are judged.
compared AS (
  SELECT
    category,
    enough,
    chance * GREATEST(SUM(CASE WHEN enough THEN 1 ELSE 0 END) OVER (), 1) AS corrected
  FROM judged
)
SELECT
  measured.category,
  CAST(measured.last_amount AS bigint) AS last_amount,
  CAST(measured.baseline_amount AS bigint) AS baseline_amount,
  CAST(measured.weeks AS integer) AS weeks,
  CAST(measured.baseline_orders AS bigint) AS baseline_orders,
  CAST(buyers.last_customers AS bigint) AS last_customers,
  CAST(buyers.baseline_customers AS bigint) AS baseline_customers,
  CAST(buyers.missing_customers AS bigint) AS missing_customers,
  measured.mean_amount,
  measured.deviation,
  CAST(measured.last_amount AS double) / NULLIF(measured.mean_amount, 0) - 1 AS change,
  CAST(CASE WHEN compared.corrected > 1 THEN 1 ELSE compared.corrected END AS double) AS p_value,
  CASE
    WHEN NOT compared.enough THEN '判定不可'
    WHEN compared.corrected * 100 < :significance_percent THEN '低下'
    ELSE '通常'
  END AS verdict
FROM measured
INNER JOIN buyers ON buyers.category = measured.category
INNER JOIN compared ON compared.category = measured.category
