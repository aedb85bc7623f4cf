-- Every valid order as of a day, numbered per person: which one it was, and on which day after the first.
-- Which state of an order counts is decided as in buyers_v1 (definitions.md §0).
WITH states AS (
  SELECT
    customer_id,
    source,
    store,
    order_id,
    ordered_at,
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
    CASE WHEN currency = :currency THEN amount END AS amount,
    -- Two orders of one day are two orders; the id decides between those of one instant.
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY ordered_on, ordered_at, source, store, order_id) AS number,
    COUNT(*) OVER (PARTITION BY customer_id) AS orders,
    MIN(ordered_on) OVER (PARTITION BY customer_id) AS first_on
  FROM states
  WHERE held = 1
    AND NOT gone
    AND valid
    AND ordered_on <= :as_of
)
SELECT
  customer_id,
  CAST(number AS integer) AS number,
  CAST(orders AS integer) AS orders,
  ordered_on,
  first_on,
  CAST(DATE_DIFF('day', first_on, ordered_on) AS integer) AS day,
  CAST(amount AS bigint) AS amount
FROM orders
