-- Every valid order as of a day, numbered per person: which one it was, and on which day after the first.
SELECT
  customer_id,
  -- Two orders of one day are two orders; the id decides between those of one instant.
  CAST(
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY ordered_on, ordered_at, source, store, order_id) AS integer
  ) AS number,
  CAST(COUNT(*) OVER (PARTITION BY customer_id) AS integer) AS orders,
  ordered_on,
  MIN(ordered_on) OVER (PARTITION BY customer_id) AS first_on,
  CAST(
    DATE_DIFF('day', MIN(ordered_on) OVER (PARTITION BY customer_id), ordered_on) AS integer
  ) AS day,
  amount
FROM valid_orders_v1
WHERE tenant = :tenant
  AND dt = :as_of
