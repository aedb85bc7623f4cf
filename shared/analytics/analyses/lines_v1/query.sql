-- The products of every valid order as of a day. A line is read in the state that held with its order; one beyond the
-- order's number of lines is no longer in it. 送料・プレゼント and the like (excluded_products) are never products
-- (definitions.md §0), and an order of nothing else is no order here.
WITH kept AS (
  SELECT
    COALESCE(persons.customer_id, order_lines.customer_id) AS customer_id,
    order_lines.source,
    order_lines.store,
    order_lines.order_id,
    order_lines.line_no,
    order_lines.product_id,
    order_lines.title,
    order_lines.category,
    order_lines.quantity,
    order_lines.amount,
    order_lines.currency,
    order_lines.subscription,
    order_lines.removed,
    order_lines.changed_on,
    order_lines.written_at,
    order_lines.sequence
  FROM order_lines
  LEFT JOIN (
--> ../../segments/sources/persons.sql
  ) AS persons
    ON persons.stored_id = order_lines.customer_id
  WHERE order_lines.tenant = :tenant
    AND order_lines.month <= :as_of_month
    AND order_lines.written_at < :known_before
),
states AS (
  SELECT
    customer_id,
    source,
    store,
    order_id,
    line_no,
    product_id,
    title,
    category,
    quantity,
    amount,
    currency,
    subscription,
    FIRST_VALUE(removed) OVER (
      PARTITION BY customer_id, source, store, order_id, line_no
      ORDER BY written_at DESC, sequence DESC
    ) AS gone,
    ROW_NUMBER() OVER (
      PARTITION BY customer_id, source, store, order_id, line_no
      ORDER BY
        CASE WHEN removed THEN 2 WHEN changed_on <= :as_of THEN 0 ELSE 1 END,
        CASE WHEN changed_on <= :as_of THEN written_at END DESC NULLS LAST,
        CASE WHEN changed_on <= :as_of THEN sequence END DESC NULLS LAST,
        written_at,
        sequence
    ) AS held
  FROM kept
),
known AS (
  SELECT
    source,
    store,
    product_id,
    category,
    ROW_NUMBER() OVER (PARTITION BY source, store, product_id ORDER BY version DESC, event_id DESC) AS newest
  FROM products
  -- What a product is is told once, maybe after it was sold: every month is read.
  WHERE tenant = :tenant
    AND month >= '1990-01'
    AND written_at < :known_before
    AND category IS NOT NULL
),
bought AS (
  SELECT
    purchases_v1.customer_id,
    purchases_v1.number,
    purchases_v1.source,
    purchases_v1.store,
    purchases_v1.order_id,
    purchases_v1.ordered_on,
    purchases_v1.first_on,
    states.product_id,
    MIN(states.title) AS title,
    MIN(COALESCE(states.category, known.category, '不明')) AS category,
    SUM(states.quantity) AS quantity,
    SUM(CASE WHEN states.currency = :currency THEN states.amount END) AS amount,
    MAX(
      CASE WHEN states.subscription OR purchases_v1.subscription_id IS NOT NULL THEN 1 ELSE 0 END
    ) AS subscription
  FROM purchases_v1
  INNER JOIN states
    ON states.customer_id = purchases_v1.customer_id
    AND states.source = purchases_v1.source
    AND states.store = purchases_v1.store
    AND states.order_id = purchases_v1.order_id
    AND states.held = 1
    AND NOT states.gone
    AND states.line_no <= COALESCE(purchases_v1.line_count, states.line_no)
  LEFT JOIN known
    ON known.source = states.source
    AND known.store = states.store
    AND known.product_id = states.product_id
    AND known.newest = 1
  WHERE purchases_v1.tenant = :tenant
    AND purchases_v1.dt = :as_of
    AND NOT CONTAINS(SPLIT(:excluded_products, CHR(10)), states.product_id)
    AND NOT CONTAINS(SPLIT(:excluded_products, CHR(10)), COALESCE(states.title, ''))
  GROUP BY
    purchases_v1.customer_id,
    purchases_v1.number,
    purchases_v1.source,
    purchases_v1.store,
    purchases_v1.order_id,
    purchases_v1.ordered_on,
    purchases_v1.first_on,
    states.product_id
),
numbered AS (
  SELECT
    customer_id,
    DENSE_RANK() OVER (PARTITION BY customer_id ORDER BY number) AS number,
    DENSE_RANK() OVER (PARTITION BY customer_id, product_id ORDER BY number) AS product_number,
    source,
    store,
    order_id,
    ordered_on,
    first_on,
    product_id,
    title,
    category,
    quantity,
    amount,
    subscription
  FROM bought
)
SELECT
  customer_id,
  CAST(number AS integer) AS number,
  CAST(MAX(number) OVER (PARTITION BY customer_id) AS integer) AS orders,
  CAST(product_number AS integer) AS product_number,
  source,
  store,
  order_id,
  ordered_on,
  first_on,
  product_id,
  title,
  category,
  CAST(quantity AS bigint) AS quantity,
  CAST(amount AS bigint) AS amount,
  subscription = 1 AS subscription
FROM numbered
