-- Every state of every order that was known, as the person it is read as (名寄せ).
kept AS (
  SELECT
    COALESCE(persons.customer_id, order_states.customer_id) AS customer_id,
    order_states.source,
    order_states.store,
    order_states.order_id,
    order_states.month,
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
--> ../segments/sources/persons.sql
  ) AS persons
    ON persons.stored_id = order_states.customer_id
  WHERE order_states.tenant = :tenant
    AND order_states.month <= :as_of_month
    AND order_states.written_at < :known_before
)
