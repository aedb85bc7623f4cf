WITH
--> rows.sql,
people AS (
  SELECT
    customer_id,
    MIN(first_on) AS first_on,
    MAX(orders) AS orders,
    MIN(CASE WHEN number = 2 THEN day END) AS second_day,
    MIN(CASE WHEN number = 3 THEN day END) AS third_day,
    MIN(CASE WHEN number = 4 THEN day END) AS fourth_day,
    MIN(CASE WHEN number = 5 THEN day END) AS fifth_day
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY customer_id
)
SELECT
  lists.counted,
  SUBSTR(CAST(people.first_on AS varchar), 1, 7) AS cohort_month,
  CAST(horizons.days AS integer) AS within_days,
  people.customer_id
FROM people
CROSS JOIN horizons
CROSS JOIN (
  VALUES
    'mature_customers', 'customers', 'second_buyers', 'third_buyers', 'fourth_buyers', 'fifth_buyers', 'one_timers'
) AS lists (counted)
WHERE (lists.counted = 'customers' OR DATE_DIFF('day', people.first_on, :as_of) >= horizons.days)
  AND (lists.counted <> 'second_buyers' OR people.second_day <= horizons.days)
  AND (lists.counted <> 'third_buyers' OR people.third_day <= horizons.days)
  AND (lists.counted <> 'fourth_buyers' OR people.fourth_day <= horizons.days)
  AND (lists.counted <> 'fifth_buyers' OR people.fifth_day <= horizons.days)
  AND (
    lists.counted <> 'one_timers'
    OR (people.orders = 1 AND DATE_DIFF('day', people.first_on, :as_of) > horizons.days)
  )
