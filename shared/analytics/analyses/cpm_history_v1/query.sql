-- The CPM group of every person at the end of each month, as that day knew the orders: a cancellation of May
-- leaves March as it was. The same rules as buyers_v1 and cpm_v1, on many days at once.
WITH days AS (
  SELECT
    months_ago,
    CASE
      WHEN months_ago = 0 THEN :as_of
      ELSE CAST(DATE_ADD('day', -1, DATE_ADD('month', 1 - months_ago, DATE_TRUNC('month', :as_of))) AS date)
    END AS evaluated_on
  -- One month more than is shown: the first transitions come from it.
  FROM UNNEST(SEQUENCE(0, :cpm_months)) AS series (months_ago)
),
--> ../orders_on_days.sql,
people AS (
  SELECT
    days.months_ago,
    days.evaluated_on,
    standing.customer_id,
    COUNT(*) AS orders,
    SUM(standing.amount) AS amount,
    DATE_DIFF('day', MIN(standing.ordered_on), MAX(standing.ordered_on)) AS tenure_days,
    DATE_DIFF('day', MAX(standing.ordered_on), days.evaluated_on) AS recency_days
  FROM standing
  INNER JOIN days ON days.evaluated_on = standing.evaluated_on
  GROUP BY days.months_ago, days.evaluated_on, standing.customer_id
),
placed AS (
  SELECT
    months_ago,
    evaluated_on,
    customer_id,
    amount,
    CASE
      WHEN orders = 1 THEN 1
      WHEN tenure_days < :cpm_settled_days THEN 2
      WHEN amount < :cpm_amount THEN 3
      WHEN tenure_days < :cpm_loyal_days THEN 4
      ELSE 5
    END AS stage_place,
    recency_days < :cpm_churn_days AS active
  FROM people
)
SELECT
  CAST(months_ago AS integer) AS months_ago,
  evaluated_on,
  customer_id,
  CAST(CASE WHEN active THEN stage_place ELSE stage_place + 5 END AS integer) AS place,
  CAST(amount AS bigint) AS amount
FROM placed
