items AS (
  SELECT 'product' AS level, product_id AS item, title AS label, customer_id, ordered_on
  FROM lines_v1
  WHERE tenant = :tenant AND dt = :as_of AND NOT subscription
  UNION ALL
  SELECT 'category' AS level, category AS item, category AS label, customer_id, ordered_on
  FROM lines_v1
  WHERE tenant = :tenant AND dt = :as_of AND NOT subscription
  UNION ALL
  SELECT 'shop' AS level, '全体' AS item, '全体' AS label, customer_id, ordered_on
  FROM purchases_v1
  WHERE tenant = :tenant AND dt = :as_of AND subscription_id IS NULL
),
occasions AS (
  SELECT
    level,
    item,
    customer_id,
    MIN(label) AS label,
    ordered_on,
    LEAD(ordered_on) OVER (PARTITION BY level, item, customer_id ORDER BY ordered_on) AS next_on
  FROM items
  GROUP BY level, item, customer_id, ordered_on
)
