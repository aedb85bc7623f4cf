days AS (
  SELECT
    months_ago,
    CAST(DATE_ADD('month', -months_ago, DATE_TRUNC('month', :as_of)) AS date) AS month_start,
    CAST(DATE_ADD('day', -1, DATE_ADD('month', 1 - months_ago, DATE_TRUNC('month', :as_of))) AS date) AS month_end
  FROM UNNEST(SEQUENCE(0, :retention_months - 1)) AS series (months_ago)
),
orders AS (
  SELECT customer_id, first_on, ordered_on
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
-- The last order of everybody by the day before the month and by its end (or the as-of day).
placed AS (
  SELECT
    days.months_ago,
    orders.customer_id,
    MIN(orders.first_on) >= days.month_start AS entered,
    COALESCE(
      MAX(
        CASE
          WHEN orders.ordered_on < days.month_start
            AND DATE_DIFF('day', orders.ordered_on, days.month_start) <= :churn_days THEN 1
          ELSE 0
        END
      ),
      0
    ) = 1 AS active_before,
    MAX(
      CASE
        WHEN DATE_DIFF('day', orders.ordered_on, CASE WHEN days.months_ago = 0 THEN :as_of ELSE days.month_end END)
          < :churn_days THEN 1
        ELSE 0
      END
    ) = 1 AS active_after
  FROM days
  INNER JOIN orders ON orders.ordered_on <= CASE WHEN days.months_ago = 0 THEN :as_of ELSE days.month_end END
  GROUP BY days.months_ago, days.month_start, orders.customer_id
)
