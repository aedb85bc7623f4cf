-- カテゴリ売上低下 (definitions.md §14): the last seven days against the same seven weekdays of the weeks before. A week is
-- low when a t statistic of its own weeks would be so low in fewer than significance_percent of cases; below four weeks or
-- minimum_people orders nothing is said. t becomes a normal deviate by Wallace's formula.
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
tested AS (
  SELECT
    category,
    SIGN(t) * SQRT(freedom * LN(1 + CAST(t * t AS double) / NULLIF(freedom, 0)))
      * (1 - CAST(2 AS double) / NULLIF(8 * freedom + 3, 0)) AS z
  FROM deviates
),
--> ../normal_tail.sql,
judged AS (
  SELECT tested.category, CASE WHEN tested.z < 0 THEN tails.tail ELSE 1 - tails.tail END AS p_value
  FROM tested
  INNER JOIN tails ON tails.z = tested.z
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
  CAST(judged.p_value AS double) AS p_value,
  CASE
    WHEN measured.weeks < 4 OR measured.baseline_orders < :minimum_people OR judged.p_value IS NULL THEN '判定不可'
    WHEN judged.p_value * 100 < :significance_percent THEN '低下'
    ELSE '通常'
  END AS verdict
FROM measured
INNER JOIN buyers ON buyers.category = measured.category
LEFT JOIN judged ON judged.category = measured.category
