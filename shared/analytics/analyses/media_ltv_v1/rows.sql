paths AS (
  -- 定期: everything later belongs to the person's first medium.
  SELECT 'first_medium' AS variant, firsts.media, orders.customer_id, orders.first_on AS entered_on, orders.ordered_on, orders.counted, orders.amount
  FROM purchases_v1 AS orders
  INNER JOIN (
    SELECT customer_id, media
    FROM purchases_v1
    WHERE tenant = :tenant AND dt = :as_of AND number = 1 AND counted = 1
  ) AS firsts ON firsts.customer_id = orders.customer_id
  WHERE orders.tenant = :tenant
    AND orders.dt = :as_of
  UNION ALL
  -- 通常: an order through another medium is new for that medium, and counts there.
  SELECT
    'each_medium' AS variant,
    media,
    customer_id,
    MIN(ordered_on) OVER (PARTITION BY customer_id, media) AS entered_on,
    ordered_on,
    counted,
    amount
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
horizons AS (
  SELECT days
  FROM UNNEST(SEQUENCE(10, 90, 10)) AS series (days)
  UNION
  SELECT days
  FROM (VALUES 120, 180, 240, 300, 360, 540, 720, 999) AS further (days)
)
