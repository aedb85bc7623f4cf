bought AS (
  SELECT DISTINCT customer_id, number, orders, product_id
  FROM lines_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND number <= 3
),
steps AS (
  SELECT
    origin.number AS from_order,
    origin.product_id AS from_product,
    target.product_id AS to_product,
    origin.customer_id
  FROM bought AS origin
  LEFT JOIN bought AS target ON target.customer_id = origin.customer_id AND target.number = origin.number + 1
  WHERE origin.number <= 2
)
