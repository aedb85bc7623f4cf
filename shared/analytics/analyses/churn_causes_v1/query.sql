-- 離脱率と要因 (B15): of the people old enough to have left, who has, by how they came in and who they are. Each value is
-- compared with the other values of its factor by the two-proportion z test (pooled), two-sided, times the number of
-- comparisons; fewer than minimum_people on a side, or fewer than five expected to leave or stay, is 少数.
WITH
--> rows.sql,
sizes AS (
  SELECT
    factor,
    COUNT(DISTINCT customer_id) AS customers,
    COUNT(DISTINCT CASE WHEN churned THEN customer_id END) AS churned,
    COUNT(DISTINCT factor_value) AS distinct_values
  FROM factors
  WHERE factor_value IS NOT NULL
  GROUP BY factor
),
counts AS (
  SELECT
    factor,
    factor_value,
    COUNT(DISTINCT customer_id) AS customers,
    COUNT(DISTINCT CASE WHEN churned THEN customer_id END) AS churned
  FROM factors
  WHERE factor_value IS NOT NULL
  GROUP BY factor, factor_value
),
compared AS (
  SELECT
    counts.factor,
    counts.factor_value,
    counts.customers,
    counts.churned,
    sizes.customers - counts.customers AS other_customers,
    sizes.churned - counts.churned AS other_churned,
    CASE WHEN sizes.distinct_values <= 2 THEN 1 ELSE sizes.distinct_values END AS comparisons,
    CAST(sizes.churned AS double) / NULLIF(sizes.customers, 0) AS pooled
  FROM counts
  INNER JOIN sizes ON sizes.factor = counts.factor
),
tested AS (
  SELECT
    factor,
    factor_value,
    CAST(churned AS double) / NULLIF(customers, 0) AS churn_rate,
    CAST(other_churned AS double) / NULLIF(other_customers, 0) AS other_rate,
    CAST(
      CAST(churned AS double) / NULLIF(customers, 0) - CAST(other_churned AS double) / NULLIF(other_customers, 0) AS double
    ) / NULLIF(
      SQRT(
        pooled * (1 - pooled)
        * (CAST(1 AS double) / NULLIF(customers, 0) + CAST(1 AS double) / NULLIF(other_customers, 0))
      ),
      0
    ) AS z
  FROM compared
),
--> ../normal_tail.sql,
judged AS (
  SELECT
    compared.factor,
    compared.factor_value,
    compared.customers,
    compared.churned,
    compared.other_customers,
    compared.other_churned,
    compared.comparisons,
    tested.churn_rate,
    tested.other_rate,
    2 * compared.comparisons * tails.tail AS corrected,
    LEAST(compared.customers, compared.other_customers) >= :minimum_people
      AND LEAST(compared.customers, compared.other_customers) * LEAST(compared.pooled, 1 - compared.pooled) >= 5 AS enough
  FROM compared
  INNER JOIN tested ON tested.factor = compared.factor AND tested.factor_value = compared.factor_value
  LEFT JOIN tails ON tails.z = tested.z
)
SELECT
  factor,
  factor_value,
  CAST(customers AS bigint) AS customers,
  CAST(churned AS bigint) AS churned,
  CAST(customers - churned AS bigint) AS stayed,
  CAST(other_customers AS bigint) AS other_customers,
  CAST(other_churned AS bigint) AS other_churned,
  churn_rate,
  other_rate,
  churn_rate - other_rate AS difference,
  CAST(comparisons AS integer) AS comparisons,
  CAST(CASE WHEN corrected > 1 THEN 1 ELSE corrected END AS double) AS p_value,
  CASE
    WHEN NOT enough OR corrected IS NULL THEN '少数'
    WHEN corrected * 100 < :significance_percent THEN '差あり'
    ELSE '差は検出できず'
  END AS verdict
FROM judged
