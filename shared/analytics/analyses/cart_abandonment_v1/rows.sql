touched AS (
  SELECT
    source,
    store,
    event_type,
    occurred_at,
    occurred_on,
    version,
    event_id,
    refs,
    facts,
    COALESCE(JSON_EXTRACT_SCALAR(facts, '$.cart_token'), JSON_EXTRACT_SCALAR(facts, '$.token')) AS cart,
    JSON_EXTRACT_SCALAR(facts, '$.token') AS token,
    COALESCE(TRY_CAST(JSON_EXTRACT_SCALAR(facts, '$.total') AS bigint), 0) AS total,
    JSON_EXTRACT_SCALAR(facts, '$.completed_at') AS completed_at
  FROM events
  WHERE tenant = :tenant
    AND month <= :as_of_month
    AND month >= SUBSTR(CAST(DATE_ADD('day', -:period_days, :as_of) AS varchar), 1, 7)
    AND occurred_on <= :as_of
    AND occurred_on > CAST(DATE_ADD('day', -:period_days, :as_of) AS date)
    AND received_at < :known_before
    AND event_type IN ('cart_updated', 'checkout_updated')
),
-- Tokens of orders, whenever they came: an order of today may be of a cart of last week.
tokens AS (
  SELECT source, store, JSON_EXTRACT_SCALAR(facts, '$.cart_token') AS token
  FROM events
  WHERE tenant = :tenant
    AND month <= :as_of_month
    AND month >= SUBSTR(CAST(DATE_ADD('day', -:period_days, :as_of) AS varchar), 1, 7)
    AND occurred_on <= :as_of
    AND received_at < :known_before
    AND event_type IN ('order_placed', 'order_updated')
  UNION
  SELECT source, store, JSON_EXTRACT_SCALAR(facts, '$.checkout_token') AS token
  FROM events
  WHERE tenant = :tenant
    AND month <= :as_of_month
    AND month >= SUBSTR(CAST(DATE_ADD('day', -:period_days, :as_of) AS varchar), 1, 7)
    AND occurred_on <= :as_of
    AND received_at < :known_before
    AND event_type IN ('order_placed', 'order_updated')
),
carts AS (
  SELECT
    touched.source,
    touched.store,
    touched.cart,
    MAX(CASE WHEN touched.event_type = 'checkout_updated' THEN 1 ELSE 0 END) AS checked_out,
    MAX(CASE WHEN touched.completed_at IS NOT NULL OR tokens.token IS NOT NULL THEN 1 ELSE 0 END) AS ordered,
    MAX(touched.occurred_on) AS last_on,
    MAX(touched.total) AS total
  FROM touched
  LEFT JOIN tokens
    ON tokens.source = touched.source
    AND tokens.store = touched.store
    AND (tokens.token = touched.cart OR tokens.token = touched.token)
  WHERE touched.cart IS NOT NULL
  GROUP BY touched.source, touched.store, touched.cart
),
judged AS (
  SELECT
    source,
    store,
    cart,
    total,
    CASE
      WHEN ordered = 1 THEN 'ordered'
      -- A cart touched on the as-of day may still become an order.
      WHEN last_on >= :as_of THEN 'still_open'
      WHEN checked_out = 1 THEN 'left_at_checkout'
      ELSE 'left_in_cart'
    END AS outcome,
    checked_out
  FROM carts
  WHERE total > 0
),
contents AS (
  SELECT DISTINCT
    touched.source,
    touched.store,
    touched.cart,
    JSON_EXTRACT_SCALAR(lines.line, '$.product_id') AS product_id,
    JSON_EXTRACT_SCALAR(lines.line, '$.title') AS title
  FROM touched
  CROSS JOIN UNNEST(CAST(JSON_EXTRACT(touched.facts, '$.lines') AS array(json))) AS lines (line)
),
boxes AS (
  SELECT 'all' AS dimension, '全体' AS box, '全体' AS label, source, store, cart, total, outcome, checked_out
  FROM judged
  UNION ALL
  SELECT 'store' AS dimension, store AS box, store AS label, source, store, cart, total, outcome, checked_out
  FROM judged
  UNION ALL
  SELECT
    'price' AS dimension,
    CASE
      WHEN total < :m2 THEN '1'
      WHEN total < :m3 THEN '2'
      WHEN total < :m4 THEN '3'
      WHEN total < :m5 THEN '4'
      WHEN total < :m6 THEN '5'
      ELSE '6'
    END AS box,
    CASE
      WHEN total < :m2 THEN CAST(:m2 AS varchar) || '未満'
      WHEN total < :m3 THEN CAST(:m3 AS varchar) || '未満'
      WHEN total < :m4 THEN CAST(:m4 AS varchar) || '未満'
      WHEN total < :m5 THEN CAST(:m5 AS varchar) || '未満'
      WHEN total < :m6 THEN CAST(:m6 AS varchar) || '未満'
      ELSE CAST(:m6 AS varchar) || '以上'
    END AS label,
    source,
    store,
    cart,
    total,
    outcome,
    checked_out
  FROM judged
  UNION ALL
  SELECT
    'product' AS dimension,
    contents.product_id AS box,
    MIN(contents.title) AS label,
    judged.source,
    judged.store,
    judged.cart,
    MIN(judged.total) AS total,
    MIN(judged.outcome) AS outcome,
    MIN(judged.checked_out) AS checked_out
  FROM judged
  INNER JOIN contents
    ON contents.source = judged.source AND contents.store = judged.store AND contents.cart = judged.cart
  WHERE contents.product_id IS NOT NULL
  GROUP BY contents.product_id, judged.source, judged.store, judged.cart
),
-- Whose carts they are, as far as anybody knows: by the newest owner of any ref seen with the cart.
owners AS (
--> ../../segments/sources/links.sql
),
people AS (
  SELECT DISTINCT touched.source, touched.store, touched.cart, owners.customer_id
  FROM touched
  CROSS JOIN UNNEST(touched.refs) AS seen (ref)
  INNER JOIN owners ON owners.ref = seen.ref
)
