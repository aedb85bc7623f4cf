-- 離脱率と要因 (B15): of the people old enough to have left, who has, by how they came in and who they are. Each value is
-- compared with the other values of its factor by the two-proportion z test (pooled), two-sided, times the number of
-- comparisons; fewer than minimum_people on a side, or fewer than five expected to leave or stay, is 少数. The
-- probability is the Chebyshev fit of erfc (error below 1.2e-7).
WITH people AS (
  SELECT
    customer_id,
    media,
    store,
    offline,
    discounted,
    subscription_id,
    order_amount,
    source,
    order_id,
    DATE_DIFF('day', last_on, :as_of) >= :churn_days AS churned
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND number = 1
    AND counted = 1
    -- Everybody has had the time to leave: the others are undecided and would dilute the rate.
    AND DATE_DIFF('day', first_on, :as_of) >= :churn_days
),
attributes AS (
  SELECT
    customer_id,
    name,
    value,
    removed,
    ROW_NUMBER() OVER (PARTITION BY customer_id, name ORDER BY written_at DESC, sequence DESC) AS newest
  FROM attribute_states
  WHERE tenant = :tenant
    AND month >= '1990-01'
    AND said_on <= :as_of
    AND written_at < :known_before
    AND name IN ('gender', 'prefecture', 'birth_month', 'occupation')
),
factors AS (
  SELECT customer_id, churned, 'media' AS factor, media AS factor_value FROM people
  UNION ALL
  SELECT customer_id, churned, 'store' AS factor, store AS factor_value FROM people
  UNION ALL
  SELECT customer_id, churned, 'place' AS factor, CASE WHEN offline THEN '店舗・電話' ELSE 'オンライン' END AS factor_value FROM people
  UNION ALL
  SELECT customer_id, churned, 'discount' AS factor, CASE WHEN discounted THEN '値引きあり' ELSE '値引きなし' END AS factor_value
  FROM people
  UNION ALL
  SELECT customer_id, churned, 'contract' AS factor, CASE WHEN subscription_id IS NULL THEN '都度' ELSE '定期' END AS factor_value
  FROM people
  UNION ALL
  SELECT
    customer_id,
    churned,
    'first_amount' AS factor,
    CASE
      WHEN order_amount < :m2 THEN '1'
      WHEN order_amount < :m3 THEN '2'
      WHEN order_amount < :m4 THEN '3'
      WHEN order_amount < :m5 THEN '4'
      WHEN order_amount < :m6 THEN '5'
      WHEN order_amount >= :m6 THEN '6'
      ELSE '不明'
    END AS factor_value
  FROM people
  UNION ALL
  SELECT people.customer_id, people.churned, 'category' AS factor, bought.category AS factor_value
  FROM people
  INNER JOIN (
    SELECT DISTINCT customer_id, source, store, order_id, category
    FROM lines_v1
    WHERE tenant = :tenant AND dt = :as_of
  ) AS bought
    ON bought.customer_id = people.customer_id
    AND bought.source = people.source
    AND bought.store = people.store
    AND bought.order_id = people.order_id
  UNION ALL
  SELECT
    people.customer_id,
    people.churned,
    CASE attributes.name WHEN 'birth_month' THEN 'age' ELSE attributes.name END AS factor,
    CASE attributes.name
      WHEN 'birth_month' THEN CAST(
        10 * CAST(
          FLOOR(
            (YEAR(:as_of) - TRY_CAST(SUBSTR(attributes.value, 1, 4) AS integer)
              - CASE WHEN SUBSTR(CAST(:as_of AS varchar), 6, 2) < SUBSTR(attributes.value, 6, 2) THEN 1 ELSE 0 END)
              * CAST(0.1 AS double)
          ) AS integer
        ) AS varchar
      ) || '代'
      ELSE attributes.value
    END AS factor_value
  FROM people
  INNER JOIN attributes ON attributes.customer_id = people.customer_id AND attributes.newest = 1 AND NOT attributes.removed
),
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
    customers,
    churned,
    other_customers,
    other_churned,
    comparisons,
    customers >= :minimum_people
      AND other_customers >= :minimum_people
      AND customers * pooled >= 5
      AND customers * (1 - pooled) >= 5
      AND other_customers * pooled >= 5
      AND other_customers * (1 - pooled) >= 5 AS enough,
    CAST(churned AS double) / NULLIF(customers, 0) AS churn_rate,
    CAST(other_churned AS double) / NULLIF(other_customers, 0) AS other_rate,
    SQRT(
      pooled * (1 - pooled)
      * (CAST(1 AS double) / NULLIF(customers, 0) + CAST(1 AS double) / NULLIF(other_customers, 0))
    ) AS error
  FROM compared
),
deviates AS (
  SELECT
    factor,
    factor_value,
    customers,
    churned,
    other_customers,
    other_churned,
    comparisons,
    enough,
    churn_rate,
    other_rate,
    -- |z| over the square root of 2
    CAST(ABS(churn_rate - other_rate) AS double) / NULLIF(error, 0) * CAST(0.7071067811865476 AS double) AS x
  FROM tested
),
folded AS (
  SELECT
    factor,
    factor_value,
    customers,
    churned,
    other_customers,
    other_churned,
    comparisons,
    enough,
    churn_rate,
    other_rate,
    x,
    CAST(1 AS double) / NULLIF(1 + x * CAST(0.5 AS double), 0) AS u
  FROM deviates
),
judged AS (
  SELECT
    factor,
    factor_value,
    customers,
    churned,
    other_customers,
    other_churned,
    comparisons,
    enough,
    churn_rate,
    other_rate,
    comparisons * u * EXP(
      -x * x - 1.26551223 + u * (1.00002368 + u * (0.37409196 + u * (0.09678418 + u * (-0.18628806 + u * (0.27886807
      + u * (-1.13520398 + u * (1.48851587 + u * (-0.82215223 + u * 0.17087277))))))))
    ) AS corrected
  FROM folded
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
