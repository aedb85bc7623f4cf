-- Carts left (カゴ落ち): a cart and the checkouts made from it are one; none of them became an order, something is in it,
-- and it was touched within the last 90 days. Reads `links`.
SELECT links.customer_id, open_carts.store, open_carts.last_on, open_carts.total
FROM (
  SELECT
    bodies.source,
    bodies.store,
    bodies.cart,
    MAX(bodies.ended) AS ended,
    MAX(CASE WHEN ordered.token IS NULL THEN 0 ELSE 1 END) AS ordered,
    MAX(CASE WHEN bodies.filled = 1 THEN bodies.occurred_on END) AS last_on,
    MAX(CASE WHEN bodies.filled = 1 THEN bodies.total END) AS total
  FROM (
    SELECT
      source,
      store,
      cart,
      token,
      occurred_on,
      total,
      CASE WHEN lines > 0 AND NOT deleted THEN 1 ELSE 0 END AS filled,
      completed AS ended
    FROM (
      SELECT
        source,
        store,
        COALESCE(JSON_EXTRACT_SCALAR(facts, '$.cart_token'), JSON_EXTRACT_SCALAR(facts, '$.token')) AS cart,
        JSON_EXTRACT_SCALAR(facts, '$.token') AS token,
        occurred_on,
        COALESCE(TRY_CAST(JSON_EXTRACT_SCALAR(facts, '$.total') AS bigint), 0) AS total,
        COALESCE(CARDINALITY(CAST(JSON_EXTRACT(facts, '$.lines') AS array(json))), 0) AS lines,
        MAX(CASE WHEN JSON_EXTRACT_SCALAR(facts, '$.completed_at') IS NULL THEN 0 ELSE 1 END) OVER (
          PARTITION BY source, store, JSON_EXTRACT_SCALAR(facts, '$.token')
        ) AS completed,
        MAX(
          CASE WHEN event_type = 'checkout_deleted' OR JSON_EXTRACT_SCALAR(facts, '$.deleted') = 'true' THEN 1 ELSE 0 END
        ) OVER (PARTITION BY source, store, JSON_EXTRACT_SCALAR(facts, '$.token')) = 1 AS deleted,
        ROW_NUMBER() OVER (
          PARTITION BY source, store, JSON_EXTRACT_SCALAR(facts, '$.token')
          ORDER BY version DESC, event_id DESC
        ) AS newest
      FROM events
      WHERE tenant = :tenant
        AND month <= :as_of_month
        AND month >= :since_month
        AND occurred_on <= :as_of
        AND received_at < :known_before
        AND event_type IN ('cart_updated', 'checkout_updated', 'checkout_deleted')
    ) AS touched
    WHERE newest = 1
  ) AS bodies
  LEFT JOIN (
    SELECT DISTINCT
      source,
      store,
      one.token
    FROM events
    CROSS JOIN UNNEST(
      ARRAY[JSON_EXTRACT_SCALAR(facts, '$.cart_token'), JSON_EXTRACT_SCALAR(facts, '$.checkout_token')]
    ) AS one (token)
    WHERE tenant = :tenant
      AND month <= :as_of_month
      AND month >= :since_month
      AND occurred_on <= :as_of
      AND received_at < :known_before
      AND event_type IN ('order_placed', 'order_updated', 'order_cancelled')
  ) AS ordered
    ON ordered.source = bodies.source
    AND ordered.store = bodies.store
    AND (ordered.token = bodies.cart OR ordered.token = bodies.token)
  GROUP BY bodies.source, bodies.store, bodies.cart
) AS open_carts
INNER JOIN (
  SELECT DISTINCT
    events.source,
    events.store,
    COALESCE(JSON_EXTRACT_SCALAR(events.facts, '$.cart_token'), JSON_EXTRACT_SCALAR(events.facts, '$.token')) AS cart,
    one.ref
  FROM events
  CROSS JOIN UNNEST(events.refs) AS one (ref)
  WHERE events.tenant = :tenant
    AND events.month <= :as_of_month
    AND events.month >= :since_month
    AND events.event_type IN ('cart_updated', 'checkout_updated')
) AS named
  ON named.source = open_carts.source
  AND named.store = open_carts.store
  AND named.cart = open_carts.cart
INNER JOIN links ON links.ref = named.ref
WHERE open_carts.ended = 0
  AND open_carts.ordered = 0
  AND open_carts.last_on > CAST(DATE_ADD('day', -90, :as_of) AS date)
