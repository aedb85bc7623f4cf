-- 商品フィード: what mails show. A product as its source said last; what the same people bought in the last 24 months,
-- each pair by two people or more; the best sellers, those of the last 90 days first.
WITH said AS (
  SELECT
    product_id,
    title,
    category,
    price,
    currency,
    stock,
    url,
    image_url,
    deleted,
    FIRST_VALUE(occurred_on) OVER (PARTITION BY product_id ORDER BY written_at, event_id) AS heard_on,
    MIN(occurred_on) OVER () AS began_on,
    ROW_NUMBER() OVER (PARTITION BY product_id ORDER BY version DESC, written_at DESC, event_id DESC) AS newest
  FROM products
  -- A product may be told once and never again: every month is read.
  WHERE tenant = :tenant
    AND month >= '1990-01'
    AND written_at < :known_before
),
bought AS (
  SELECT customer_id, product_id, MAX(ordered_on) AS last_on
  FROM lines_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND ordered_on > CAST(DATE_ADD('month', -24, :as_of) AS date)
  GROUP BY customer_id, product_id
),
buyers AS (
  SELECT
    product_id,
    COUNT(*) AS people,
    ROW_NUMBER() OVER (
      ORDER BY
        COUNT(CASE WHEN last_on > CAST(DATE_ADD('day', -90, :as_of) AS date) THEN 1 END) DESC,
        COUNT(*) DESC,
        product_id
    ) AS place
  FROM bought
  GROUP BY product_id
),
pairs AS (
  SELECT base.product_id AS base, also.product_id, COUNT(*) AS people
  FROM bought AS base
  INNER JOIN bought AS also ON also.customer_id = base.customer_id AND also.product_id <> base.product_id
  GROUP BY base.product_id, also.product_id
  HAVING COUNT(*) >= 2
),
-- Only what can be bought now is shown, so nothing else takes one of the ten places.
ranked AS (
  SELECT
    pairs.base,
    pairs.product_id,
    CAST(ROUND(CAST(pairs.people AS double) / NULLIF(buyers.people, 0) * 10000) AS integer) AS rate,
    ROW_NUMBER() OVER (PARTITION BY pairs.base ORDER BY pairs.people DESC, pairs.product_id) AS place
  FROM pairs
  INNER JOIN buyers ON buyers.product_id = pairs.base
  INNER JOIN said ON said.product_id = pairs.product_id AND said.newest = 1 AND NOT COALESCE(said.deleted, FALSE)
),
together AS (
  SELECT
    base,
    ARRAY_AGG(product_id ORDER BY place) AS companions,
    ARRAY_AGG(rate ORDER BY place) AS rates
  FROM ranked
  WHERE place <= 10
  GROUP BY base
),
known AS (
  SELECT
    COALESCE(said.product_id, together.base) AS product_id,
    said.product_id IS NOT NULL AS sold,
    said.title,
    said.category,
    said.price,
    CASE WHEN said.product_id IS NOT NULL THEN COALESCE(said.currency, :currency) END AS currency,
    said.stock,
    said.url,
    said.image_url,
    CASE WHEN said.heard_on > said.began_on THEN said.heard_on END AS new_on,
    together.companions,
    together.rates
  FROM (
    SELECT product_id, title, category, price, currency, stock, url, image_url, heard_on, began_on
    FROM said
    WHERE newest = 1
      AND NOT COALESCE(deleted, FALSE)
  ) AS said
  FULL JOIN together ON together.base = said.product_id
),
placed AS (
  SELECT
    known.product_id,
    known.sold,
    known.title,
    known.category,
    known.price,
    known.currency,
    known.stock,
    known.url,
    known.image_url,
    known.new_on,
    buyers.place,
    known.companions,
    known.rates,
    ROW_NUMBER() OVER (
      ORDER BY CASE WHEN buyers.place IS NULL THEN 1 ELSE 0 END, buyers.place, known.new_on DESC, known.product_id
    ) AS kept
  FROM known
  LEFT JOIN buyers ON buyers.product_id = known.product_id
)
SELECT
  product_id,
  sold,
  title,
  category,
  CAST(price AS bigint) AS price,
  currency,
  CAST(stock AS bigint) AS stock,
  url,
  image_url,
  new_on,
  CAST(place AS integer) AS place,
  companions,
  rates
FROM placed
WHERE kept <= 5000
