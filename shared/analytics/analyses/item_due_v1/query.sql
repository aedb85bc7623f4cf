-- 次回購入予定日 (definitions.md §10, C3): the last occasion plus the person's own median gap with 3 occasions or more,
-- else the product's Kaplan–Meier median, else the category's, else the shop's; the level used is told. Deliveries of
-- subscriptions are no occasions of single purchases.
WITH occasions AS (
  SELECT
    customer_id,
    product_id,
    ordered_on,
    MIN(title) AS title,
    MIN(category) AS category,
    DATE_DIFF(
      'day',
      LAG(ordered_on) OVER (PARTITION BY customer_id, product_id ORDER BY ordered_on),
      ordered_on
    ) AS gap
  FROM lines_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND NOT subscription
  GROUP BY customer_id, product_id, ordered_on
),
items AS (
  SELECT
    customer_id,
    product_id,
    MIN(title) AS title,
    MIN(category) AS category,
    COUNT(*) AS occasions,
    MAX(ordered_on) AS last_on,
    ARRAY_AGG(gap ORDER BY gap) FILTER (WHERE gap IS NOT NULL) AS gaps
  FROM occasions
  GROUP BY customer_id, product_id
),
own AS (
  SELECT
    customer_id,
    product_id,
    title,
    category,
    occasions,
    last_on,
    DATE_DIFF('day', last_on, :as_of) AS open_days,
    CASE
      WHEN occasions >= 3
        THEN (
          ELEMENT_AT(gaps, CAST(FLOOR((CARDINALITY(gaps) + 1) * 0.5) AS integer))
          + ELEMENT_AT(gaps, CAST(FLOOR((CARDINALITY(gaps) + 2) * 0.5) AS integer))
        ) * CAST(0.5 AS double)
    END AS own_days
  FROM items
),
cycles AS (
  SELECT level, item, median_days
  FROM item_cycle_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND median_days IS NOT NULL
),
measured AS (
  SELECT
    own.customer_id,
    own.product_id,
    own.title,
    own.occasions,
    own.last_on,
    own.open_days,
    COALESCE(own.own_days, of_product.median_days, of_category.median_days, of_shop.median_days) AS cycle_days,
    CASE
      WHEN own.own_days IS NOT NULL THEN 'own'
      WHEN of_product.median_days IS NOT NULL THEN 'product'
      WHEN of_category.median_days IS NOT NULL THEN 'category'
      WHEN of_shop.median_days IS NOT NULL THEN 'shop'
    END AS cycle_level
  FROM own
  LEFT JOIN cycles AS of_product ON of_product.level = 'product' AND of_product.item = own.product_id
  LEFT JOIN cycles AS of_category ON of_category.level = 'category' AND of_category.item = own.category
  LEFT JOIN cycles AS of_shop ON of_shop.level = 'shop'
)
SELECT
  customer_id,
  product_id,
  title,
  CAST(occasions AS integer) AS occasions,
  last_on,
  CAST(open_days AS integer) AS open_days,
  CAST(cycle_days AS double) AS cycle_days,
  cycle_level,
  CAST(DATE_ADD('day', CAST(ROUND(cycle_days) AS integer), last_on) AS date) AS due_on,
  COALESCE(open_days * 100 >= :overdue_percent * cycle_days, FALSE) AS overdue
FROM measured
