WITH boxes AS (
  SELECT customer_id, deliveries, outcome, 'all' AS dimension, '全体' AS box
  FROM contracts_v1
  WHERE tenant = :tenant AND dt = :as_of
  UNION ALL
  SELECT customer_id, deliveries, outcome, 'product' AS dimension, product_id AS box
  FROM contracts_v1
  WHERE tenant = :tenant AND dt = :as_of
  UNION ALL
  SELECT customer_id, deliveries, outcome, 'month' AS dimension, SUBSTR(CAST(started_on AS varchar), 1, 7) AS box
  FROM contracts_v1
  WHERE tenant = :tenant AND dt = :as_of
  UNION ALL
  SELECT customer_id, deliveries, outcome, 'media' AS dimension, media AS box
  FROM contracts_v1
  WHERE tenant = :tenant AND dt = :as_of
  UNION ALL
  SELECT customer_id, deliveries, outcome, 'reason' AS dimension, COALESCE(cancel_reason, '理由不明') AS box
  FROM contracts_v1
  WHERE tenant = :tenant AND dt = :as_of AND outcome = 'cancelled'
)
SELECT 'reached' AS counted, boxes.dimension, boxes.box, CAST(series.n AS integer) AS delivery_number, boxes.customer_id
FROM boxes
CROSS JOIN UNNEST(SEQUENCE(1, :followed_orders)) AS series (n)
WHERE boxes.deliveries >= series.n
UNION ALL
SELECT
  CASE WHEN boxes.deliveries > series.n THEN 'continued' ELSE boxes.outcome END AS counted,
  boxes.dimension,
  boxes.box,
  CAST(series.n AS integer) AS delivery_number,
  boxes.customer_id
FROM boxes
CROSS JOIN UNNEST(SEQUENCE(1, :followed_orders)) AS series (n)
WHERE boxes.deliveries >= series.n
