-- Every person with a valid order as of a day: how often, how much, when, and the gaps between their purchase days.
-- Two rules decide which state of an order counts (definitions.md §0):
--   whose it is    the newest state we know: a merged person (名寄せ) is one person for all days past;
--   what it says   the state that held on the as-of day: a later cancellation does not change an earlier month.
WITH states AS (
  SELECT
    customer_id,
    ordered_on,
    amount,
    currency,
    valid,
    FIRST_VALUE(removed) OVER (
      PARTITION BY customer_id, source, store, order_id
      ORDER BY written_at DESC, sequence DESC
    ) AS gone,
    ROW_NUMBER() OVER (
      PARTITION BY customer_id, source, store, order_id
      ORDER BY
        -- The newest state that held by then; an order first heard of later counts with its first state.
        CASE WHEN removed THEN 2 WHEN changed_on <= :as_of THEN 0 ELSE 1 END,
        CASE WHEN changed_on <= :as_of THEN written_at END DESC NULLS LAST,
        CASE WHEN changed_on <= :as_of THEN sequence END DESC NULLS LAST,
        written_at,
        sequence
    ) AS held
  FROM order_states
  WHERE tenant = :tenant
    AND month <= :as_of_month
),
orders AS (
  SELECT
    customer_id,
    ordered_on,
    CASE WHEN currency = :currency THEN amount ELSE 0 END AS amount,
    CASE WHEN currency = :currency THEN 0 ELSE 1 END AS foreign_order
  FROM states
  WHERE held = 1
    AND NOT gone
    AND valid
    AND ordered_on <= :as_of
),
totals AS (
  SELECT
    customer_id,
    CAST(COUNT(*) AS bigint) AS orders,
    CAST(SUM(amount) AS bigint) AS amount,
    CAST(SUM(foreign_order) AS bigint) AS foreign_orders,
    MIN(ordered_on) AS first_on,
    MAX(ordered_on) AS last_on
  FROM orders
  GROUP BY customer_id
),
-- Two orders of one day are one occasion: a cycle is measured between days.
occasions AS (
  SELECT
    customer_id,
    DATE_DIFF(
      'day',
      LAG(ordered_on) OVER (PARTITION BY customer_id ORDER BY ordered_on),
      ordered_on
    ) AS gap
  FROM orders
  GROUP BY customer_id, ordered_on
),
gaps AS (
  SELECT
    customer_id,
    ARRAY_AGG(CAST(gap AS integer) ORDER BY gap) AS gaps
  FROM occasions
  WHERE gap IS NOT NULL
  GROUP BY customer_id
)
SELECT
  totals.customer_id,
  totals.orders,
  totals.amount,
  totals.foreign_orders,
  totals.first_on,
  totals.last_on,
  CAST(DATE_DIFF('day', totals.last_on, :as_of) AS integer) AS recency_days,
  gaps.gaps
FROM totals
LEFT JOIN gaps ON gaps.customer_id = totals.customer_id
