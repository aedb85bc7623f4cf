-- 定期契約 as of a day, in the state that held then. A skip moves the next delivery and is neither a cancellation nor a pause.
WITH states AS (
--> ../contract_states.sql
),
delivered AS (
  SELECT
    customer_id,
    source,
    store,
    subscription_id,
    COUNT(*) AS orders,
    COALESCE(MAX(delivery_number), 0) AS highest,
    MIN(ordered_on) AS first_on
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND subscription_id IS NOT NULL
  GROUP BY customer_id, source, store, subscription_id
),
joined AS (
  SELECT
    states.customer_id,
    states.source,
    states.store,
    states.subscription_id,
    COALESCE(states.product_id, '不明') AS product_id,
    COALESCE(NULLIF(states.media, ''), '不明') AS media,
    COALESCE(states.started_on, delivered.first_on, states.changed_on) AS started_on,
    GREATEST(COALESCE(states.deliveries, 0), COALESCE(delivered.highest, 0), COALESCE(delivered.orders, 0)) AS deliveries,
    states.state,
    states.cancel_reason,
    states.next_delivery_on,
    states.estimated
  FROM states
  LEFT JOIN delivered
    ON delivered.customer_id = states.customer_id
    AND delivered.source = states.source
    AND delivered.store = states.store
    AND delivered.subscription_id = states.subscription_id
  WHERE states.held = 1
    AND NOT states.gone
)
SELECT
  customer_id,
  source,
  store,
  subscription_id,
  product_id,
  media,
  started_on,
  CAST(deliveries AS integer) AS deliveries,
  CASE
    WHEN state IN ('cancelled', 'paused', 'expired') THEN state
    WHEN state = 'past_due' OR DATE_DIFF('day', next_delivery_on, :as_of) > :subscription_late_days THEN 'held'
    ELSE 'undecided'
  END AS outcome,
  cancel_reason,
  next_delivery_on,
  estimated
FROM joined
WHERE started_on <= :as_of
