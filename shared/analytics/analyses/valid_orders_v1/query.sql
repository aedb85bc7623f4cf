-- Every valid order as of a day: the one place that decides which state of an order counts (definitions.md §0).
--   whose it is    the newest we know: whoever is read as one person (名寄せ) is one for all days past;
--   what it says   the state that held on the as-of day: a later cancellation does not change an earlier month;
--   known then     only what had reached us by :known_before; known now is all there is.
-- One window, newest state first: a state holds when it is the first that was true by the day. An order first heard of
-- later has none such; it counts with its oldest.
WITH
--> ../kept_orders.sql,
states AS (
  SELECT
    customer_id,
    source,
    store,
    order_id,
    ordered_at,
    ordered_on,
    currency,
    total,
    amount,
    goods_total,
    discount,
    coupons,
    media,
    subscription_id,
    delivery_number,
    offline,
    line_count,
    valid,
    removed,
    changed_on <= :as_of AND NOT removed AS true_by_then,
    FIRST_VALUE(removed) OVER (
      PARTITION BY customer_id, order_id, source, store
      ORDER BY written_at DESC, sequence DESC
    ) AS gone,
    SUM(CASE WHEN changed_on <= :as_of AND NOT removed THEN 1 ELSE 0 END) OVER (
      PARTITION BY customer_id, order_id, source, store
      ORDER BY written_at DESC, sequence DESC
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS true_so_far,
    LEAD(written_at) OVER (
      PARTITION BY customer_id, order_id, source, store
      ORDER BY written_at DESC, sequence DESC
    ) AS before_at
  FROM kept
)
SELECT
  customer_id,
  source,
  store,
  order_id,
  ordered_at,
  ordered_on,
  CASE WHEN currency = :currency THEN total END AS total,
  CASE WHEN currency = :currency THEN amount END AS amount,
  CASE WHEN currency = :currency THEN goods_total END AS goods_total,
  CASE WHEN currency = :currency THEN discount END AS discount,
  coupons,
  media,
  subscription_id,
  delivery_number,
  offline,
  line_count
FROM states
WHERE NOT gone
  AND valid
  AND ordered_on <= :as_of
  AND (
    (true_by_then AND true_so_far = 1)
    OR (true_so_far = 0 AND before_at IS NULL AND NOT removed)
  )
