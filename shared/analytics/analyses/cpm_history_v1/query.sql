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
states AS (
  SELECT
    days.months_ago,
    days.evaluated_on,
    customer_id,
    ordered_on,
    amount,
    currency,
    valid,
    FIRST_VALUE(removed) OVER (
      PARTITION BY days.months_ago, customer_id, source, store, order_id
      ORDER BY written_at DESC, sequence DESC
    ) AS gone,
    ROW_NUMBER() OVER (
      PARTITION BY days.months_ago, customer_id, source, store, order_id
      ORDER BY
        CASE WHEN removed THEN 2 WHEN changed_on <= days.evaluated_on THEN 0 ELSE 1 END,
        CASE WHEN changed_on <= days.evaluated_on THEN written_at END DESC NULLS LAST,
        CASE WHEN changed_on <= days.evaluated_on THEN sequence END DESC NULLS LAST,
        written_at,
        sequence
    ) AS held
  FROM order_states
  CROSS JOIN days
  WHERE tenant = :tenant
    AND month <= :as_of_month
    AND written_at < :known_before
    AND month <= SUBSTR(CAST(days.evaluated_on AS varchar), 1, 7)
),
people AS (
  SELECT
    months_ago,
    evaluated_on,
    customer_id,
    COUNT(*) AS orders,
    SUM(CASE WHEN currency = :currency THEN amount ELSE 0 END) AS amount,
    DATE_DIFF('day', MIN(ordered_on), MAX(ordered_on)) AS tenure_days,
    DATE_DIFF('day', MAX(ordered_on), evaluated_on) AS recency_days
  FROM states
  WHERE held = 1
    AND NOT gone
    AND valid
    AND ordered_on <= evaluated_on
  GROUP BY months_ago, evaluated_on, customer_id
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
