-- LTV推移 (definitions.md §3): what the people of a first-order month had bought per person within k days. An order
-- counts from day 0 to day k; a person counts once the first order is k days old. A cell without such people is blank.
-- The amount is what amount_basis says (§0), and same_day_is_one makes the orders of one day one.
WITH
--> rows.sql,
bought AS (
  SELECT
    first_on,
    day,
    SUM(CASE WHEN number = 1 THEN counted ELSE 0 END) AS first_buyers,
    SUM(CASE WHEN number = 2 THEN counted ELSE 0 END) AS second_buyers,
    SUM(counted) AS orders,
    SUM(CASE WHEN number >= 2 THEN counted ELSE 0 END) AS repeat_orders,
    -- Orders without an amount (another currency, amount_basis not known) dilute no average.
    COUNT(amount) AS priced_orders,
    COALESCE(SUM(amount), 0) AS amount
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY first_on, day
),
counted AS (
  SELECT
    SUBSTR(CAST(bought.first_on AS varchar), 1, 7) AS cohort_month,
    horizons.days,
    CASE WHEN DATE_DIFF('day', bought.first_on, :as_of) >= horizons.days THEN 1 ELSE 0 END AS mature,
    CASE WHEN bought.day <= horizons.days THEN 1 ELSE 0 END AS within,
    bought.first_buyers,
    bought.second_buyers,
    bought.orders,
    bought.repeat_orders,
    bought.priced_orders,
    bought.amount
  FROM bought
  CROSS JOIN horizons
),
cells AS (
  SELECT
    cohort_month,
    days,
    SUM(first_buyers) AS customers,
    SUM(first_buyers * mature) AS mature_customers,
    SUM(second_buyers * mature * within) AS repeat_customers,
    SUM(orders * mature * within) AS orders,
    SUM(repeat_orders * mature * within) AS repeat_orders,
    SUM(priced_orders * mature * within) AS priced_orders,
    SUM(amount * mature * within) AS amount
  FROM counted
  GROUP BY cohort_month, days
)
SELECT
  cohort_month,
  CAST(days AS integer) AS within_days,
  days = :ltv_days AS chosen,
  cohort_month = :as_of_month AS latest_month,
  CAST(customers AS bigint) AS customers,
  CAST(mature_customers AS bigint) AS mature_customers,
  mature_customers = customers AS complete,
  CAST(CASE WHEN mature_customers > 0 THEN amount END AS bigint) AS amount,
  CAST(CASE WHEN mature_customers > 0 THEN orders END AS bigint) AS orders,
  CAST(CASE WHEN mature_customers > 0 THEN priced_orders END AS bigint) AS priced_orders,
  CAST(CASE WHEN mature_customers > 0 THEN repeat_orders END AS bigint) AS repeat_orders,
  CAST(CASE WHEN mature_customers > 0 THEN repeat_customers END AS bigint) AS repeat_customers,
  CAST(amount AS double) / NULLIF(mature_customers, 0) AS ltv,
  CAST(repeat_customers AS double) / NULLIF(mature_customers, 0) AS repeat_rate,
  CAST(amount AS double) / NULLIF(priced_orders, 0) AS average_order_amount
FROM cells
