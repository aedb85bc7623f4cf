WITH
--> rows.sql,
people AS (
  SELECT customer_id, MIN(first_on) AS first_on, MIN(CASE WHEN number = 2 THEN day END) AS second_day
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
CROSS JOIN (VALUES 'customers', 'mature_customers', 'repeat_customers') AS lists (counted)
WHERE (lists.counted = 'customers' OR DATE_DIFF('day', people.first_on, :as_of) >= horizons.days)
  AND (lists.counted <> 'repeat_customers' OR people.second_day <= horizons.days)
