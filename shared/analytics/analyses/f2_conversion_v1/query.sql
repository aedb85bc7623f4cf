-- F2転換率 (definitions.md §9): of the people whose first order is at least N days old, how many had ordered again by
-- day N? By month of the first order; F3, F4, F5 alike. Whoever is younger than N days counts nowhere: a cell without
-- anybody old enough is blank, not 0. same_day_is_one makes the orders of one day one, as in ltv_cohorts_v1.
WITH
--> rows.sql,
-- Per day of first order, how many people reached which order on which day: small, whatever the number of people.
reached AS (
  SELECT
    first_on,
    day,
    SUM(CASE WHEN number = 1 THEN counted ELSE 0 END) AS first_buyers,
    SUM(CASE WHEN number = 1 AND orders = 1 THEN counted ELSE 0 END) AS once_only,
    SUM(CASE WHEN number = 2 THEN counted ELSE 0 END) AS second_buyers,
    SUM(CASE WHEN number = 3 THEN counted ELSE 0 END) AS third_buyers,
    SUM(CASE WHEN number = 4 THEN counted ELSE 0 END) AS fourth_buyers,
    SUM(CASE WHEN number = 5 THEN counted ELSE 0 END) AS fifth_buyers
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND number <= 5
  GROUP BY first_on, day
),
counted AS (
  SELECT
    SUBSTR(CAST(reached.first_on AS varchar), 1, 7) AS cohort_month,
    horizons.days,
    reached.first_buyers,
    CASE WHEN DATE_DIFF('day', reached.first_on, :as_of) >= horizons.days THEN 1 ELSE 0 END AS mature,
    CASE WHEN reached.day <= horizons.days THEN 1 ELSE 0 END AS within,
    -- One order, and longer ago than N days.
    CASE WHEN DATE_DIFF('day', reached.first_on, :as_of) > horizons.days THEN reached.once_only ELSE 0 END AS one_timers,
    reached.second_buyers,
    reached.third_buyers,
    reached.fourth_buyers,
    reached.fifth_buyers
  FROM reached
  CROSS JOIN horizons
),
cells AS (
  SELECT
    cohort_month,
    days,
    SUM(first_buyers) AS customers,
    SUM(first_buyers * mature) AS mature_customers,
    SUM(second_buyers * mature * within) AS second_buyers,
    SUM(third_buyers * mature * within) AS third_buyers,
    SUM(fourth_buyers * mature * within) AS fourth_buyers,
    SUM(fifth_buyers * mature * within) AS fifth_buyers,
    SUM(one_timers) AS one_timers
  FROM counted
  GROUP BY cohort_month, days
)
SELECT
  cohort_month,
  CAST(days AS integer) AS within_days,
  days = :f2_days AS chosen,
  CAST(customers AS bigint) AS customers,
  CAST(mature_customers AS bigint) AS mature_customers,
  mature_customers = customers AS complete,
  CAST(CASE WHEN mature_customers > 0 THEN second_buyers END AS bigint) AS second_buyers,
  CAST(CASE WHEN mature_customers > 0 THEN third_buyers END AS bigint) AS third_buyers,
  CAST(CASE WHEN mature_customers > 0 THEN fourth_buyers END AS bigint) AS fourth_buyers,
  CAST(CASE WHEN mature_customers > 0 THEN fifth_buyers END AS bigint) AS fifth_buyers,
  CAST(second_buyers AS double) / NULLIF(mature_customers, 0) AS f2_rate,
  CAST(third_buyers AS double) / NULLIF(mature_customers, 0) AS f3_rate,
  CAST(fourth_buyers AS double) / NULLIF(mature_customers, 0) AS f4_rate,
  CAST(fifth_buyers AS double) / NULLIF(mature_customers, 0) AS f5_rate,
  CAST(CASE WHEN mature_customers > 0 THEN one_timers END AS bigint) AS one_timers
FROM cells
