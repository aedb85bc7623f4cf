-- The orders of each person on each of `days`, in the state that held on it and as that day knew them.
--> kept_orders.sql,
states AS (
  SELECT
    days.evaluated_on,
    customer_id,
    ordered_on,
    amount,
    currency,
    valid,
    FIRST_VALUE(removed) OVER (
      PARTITION BY days.evaluated_on, customer_id, source, store, order_id
      ORDER BY written_at DESC, sequence DESC
    ) AS gone,
    ROW_NUMBER() OVER (
      PARTITION BY days.evaluated_on, customer_id, source, store, order_id
      ORDER BY
        CASE WHEN removed THEN 2 WHEN changed_on <= days.evaluated_on THEN 0 ELSE 1 END,
        CASE WHEN changed_on <= days.evaluated_on THEN written_at END DESC NULLS LAST,
        CASE WHEN changed_on <= days.evaluated_on THEN sequence END DESC NULLS LAST,
        written_at,
        sequence
    ) AS held
  FROM kept
  CROSS JOIN days
  WHERE month <= SUBSTR(CAST(days.evaluated_on AS varchar), 1, 7)
),
standing AS (
  SELECT evaluated_on, customer_id, ordered_on, CASE WHEN currency = :currency THEN amount ELSE 0 END AS amount
  FROM states
  WHERE held = 1
    AND NOT gone
    AND valid
    AND ordered_on <= evaluated_on
)
