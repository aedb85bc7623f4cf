boxes AS (
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
