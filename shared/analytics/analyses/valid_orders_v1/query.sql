-- Every valid order as of a day: the one place that decides which state of an order counts (definitions.md §0).
--   whose it is    the newest we know: whoever is read as one person (名寄せ) is one for all days past;
--   what it says   the state that held on the as-of day: a later cancellation does not change an earlier month;
--   known then     only what had reached us by :known_before; known now is all there is.
-- One window, newest state first: a state holds when it is the first that was true by the day. An order first heard of
-- later has none such; it counts with its oldest.
WITH kept AS (
  SELECT
    COALESCE(persons.customer_id, order_states.customer_id) AS customer_id,
    order_states.source,
    order_states.store,
    order_states.order_id,
    order_states.ordered_at,
    order_states.ordered_on,
    order_states.currency,
    order_states.total,
    order_states.amount,
    order_states.goods_total,
    order_states.discount,
    order_states.coupons,
    order_states.media,
    order_states.subscription_id,
    order_states.delivery_number,
    order_states.offline,
    order_states.line_count,
    order_states.valid,
    order_states.removed,
    order_states.changed_on,
    order_states.written_at,
    order_states.sequence
  FROM order_states
  LEFT JOIN (
--> ../../segments/sources/persons.sql
  ) AS persons
    ON persons.stored_id = order_states.customer_id
  WHERE order_states.tenant = :tenant
    AND order_states.month <= :as_of_month
    AND order_states.written_at < :known_before
),
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
