-- カテゴリ売上低下 (definitions.md §14): the last seven days against the same seven weekdays of the weeks before. A week is
-- low when a t statistic of its own weeks would be so low in fewer than significance_percent of cases; below four weeks or
-- minimum_people orders nothing is said. t becomes a normal deviate by Wallace's formula, and that a probability by the
-- Chebyshev fit of erfc (error below 1.2e-7).
WITH bought AS (
  SELECT
    customer_id,
    order_id,
    category,
    amount,
    -- 0 the last seven days, 1 the seven before …: every week has each weekday once.
    CAST(FLOOR(DATE_DIFF('day', ordered_on, :as_of) * CAST(0.14285714285714288 AS double)) AS integer) AS weeks_ago
  FROM lines_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND ordered_on > CAST(DATE_ADD('day', -7 * (:baseline_weeks + 1), :as_of) AS date)
),
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
people AS (
  SELECT
    category,
    customer_id,
    MAX(CASE WHEN weeks_ago = 0 THEN 1 ELSE 0 END) AS bought_last,
    MAX(CASE WHEN weeks_ago > 0 THEN 1 ELSE 0 END) AS bought_before
  FROM bought
  GROUP BY category, customer_id
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
tested AS (
  SELECT
    category,
    last_amount,
    baseline_amount,
    baseline_orders,
    weeks,
    mean_amount,
    deviation,
    weeks >= 4 AND baseline_orders >= :minimum_people AS enough,
    CAST(last_amount - mean_amount AS double)
      / NULLIF(deviation * SQRT(1 + CAST(1 AS double) / NULLIF(weeks, 0)), 0) AS t,
    CAST(weeks - 1 AS double) AS freedom
  FROM measured
),
deviates AS (
  SELECT
    category,
    last_amount,
    baseline_amount,
    baseline_orders,
    weeks,
    mean_amount,
    deviation,
    enough,
    CASE WHEN t < 0 THEN -1 ELSE 1 END AS side,
    -- |z| over the square root of 2
    SQRT(freedom * LN(1 + CAST(t * t AS double) / NULLIF(freedom, 0)))
      * (1 - CAST(2 AS double) / NULLIF(8 * freedom + 3, 0)) * CAST(0.7071067811865476 AS double) AS x
  FROM tested
),
folded AS (
  SELECT
    category,
    last_amount,
    baseline_amount,
    baseline_orders,
    weeks,
    mean_amount,
    deviation,
    enough,
    side,
    x,
    CAST(1 AS double) / NULLIF(1 + x * CAST(0.5 AS double), 0) AS u
  FROM deviates
),
tails AS (
  SELECT
    category,
    last_amount,
    baseline_amount,
    baseline_orders,
    weeks,
    mean_amount,
    deviation,
    enough,
    side,
    CAST(0.5 AS double) * u * EXP(
      -x * x - 1.26551223 + u * (1.00002368 + u * (0.37409196 + u * (0.09678418 + u * (-0.18628806 + u * (0.27886807
      + u * (-1.13520398 + u * (1.48851587 + u * (-0.82215223 + u * 0.17087277))))))))
    ) AS tail
  FROM folded
),
judged AS (
  SELECT
    category,
    last_amount,
    baseline_amount,
    baseline_orders,
    weeks,
    mean_amount,
    deviation,
    enough,
    CASE WHEN side = -1 THEN tail ELSE 1 - tail END AS p_value
  FROM tails
)
SELECT
  judged.category,
  CAST(judged.last_amount AS bigint) AS last_amount,
  CAST(judged.baseline_amount AS bigint) AS baseline_amount,
  CAST(judged.weeks AS integer) AS weeks,
  CAST(judged.baseline_orders AS bigint) AS baseline_orders,
  CAST(buyers.last_customers AS bigint) AS last_customers,
  CAST(buyers.baseline_customers AS bigint) AS baseline_customers,
  CAST(buyers.missing_customers AS bigint) AS missing_customers,
  judged.mean_amount,
  judged.deviation,
  CAST(judged.last_amount AS double) / NULLIF(judged.mean_amount, 0) - 1 AS change,
  CAST(judged.p_value AS double) AS p_value,
  CASE
    WHEN NOT judged.enough OR judged.p_value IS NULL THEN '判定不可'
    WHEN judged.p_value * 100 < :significance_percent THEN '低下'
    ELSE '通常'
  END AS verdict
FROM judged
INNER JOIN buyers ON buyers.category = judged.category
