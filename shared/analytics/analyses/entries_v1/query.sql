-- By what somebody came in, and on which day: day 0 of LTV and F2 by product, category, media, store and week.
-- An order of several products is an entry by each of them, so people of entries overlap.
WITH named AS (
  SELECT customer_id, 'product' AS dimension, product_id AS entry, title AS label, source, store, order_id
  FROM lines_v1
  WHERE tenant = :tenant AND dt = :as_of
  UNION ALL
  SELECT customer_id, 'category' AS dimension, category AS entry, category AS label, source, store, order_id
  FROM lines_v1
  WHERE tenant = :tenant AND dt = :as_of
),
orders AS (
  SELECT customer_id, number, source, store, order_id, ordered_on, next_on, media
  FROM purchases_v1
  WHERE tenant = :tenant AND dt = :as_of
),
all_entries AS (
  SELECT
    orders.customer_id,
    named.dimension,
    named.entry,
    named.label,
    orders.number,
    orders.ordered_on,
    orders.next_on
  FROM orders
  INNER JOIN named
    ON named.customer_id = orders.customer_id
    AND named.source = orders.source
    AND named.store = orders.store
    AND named.order_id = orders.order_id
  UNION ALL
  SELECT customer_id, 'media' AS dimension, media AS entry, media AS label, number, ordered_on, next_on
  FROM orders
  UNION ALL
  SELECT customer_id, 'store' AS dimension, store AS entry, store AS label, number, ordered_on, next_on
  FROM orders
  UNION ALL
  SELECT
    customer_id,
    'week' AS dimension,
    CAST(CAST(DATE_TRUNC('week', ordered_on) AS date) AS varchar) AS entry,
    CAST(CAST(DATE_TRUNC('week', ordered_on) AS date) AS varchar) AS label,
    number,
    ordered_on,
    next_on
  FROM orders
),
firsts AS (
  SELECT
    customer_id,
    dimension,
    entry,
    MIN(label) AS label,
    MIN(number) AS number,
    MIN(ordered_on) AS entered_on,
    MIN_BY(next_on, number) AS next_on
  FROM all_entries
  GROUP BY customer_id, dimension, entry
),
anchored AS (
  SELECT customer_id, dimension, 'first_order' AS anchor, entry, label, entered_on, number, next_on
  FROM firsts
  WHERE number = 1
  UNION ALL
  SELECT customer_id, dimension, 'first_of_it' AS anchor, entry, label, entered_on, number, next_on
  FROM firsts
  WHERE dimension IN ('product', 'category', 'media')
)
SELECT
  customer_id,
  dimension,
  anchor,
  entry,
  label,
  entered_on,
  CAST(number AS integer) AS entered_number,
  CAST(DATE_DIFF('day', entered_on, next_on) AS integer) AS next_day
FROM anchored
