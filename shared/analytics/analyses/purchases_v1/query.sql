-- Every valid order as of a day with what is known of it. Which state of an order counts is decided in
-- valid_orders_v1; the amount is what amount_basis says:
--   order_total    受注金額 less refunds
--   goods_total    商品代金 less refunds; null where the source does not split it
--   gross_margin   margin_percent of 商品代金 (of 受注金額 where it is not split)
WITH valued AS (
  SELECT
    customer_id,
    source,
    store,
    order_id,
    ordered_at,
    ordered_on,
    amount AS order_amount,
    -- What was refunded is taken from the goods first.
    CASE
      WHEN goods_total >= total - amount THEN goods_total - (total - amount)
      WHEN goods_total IS NOT NULL THEN 0
    END AS goods_amount,
    COALESCE(NULLIF(media, ''), '不明') AS media,
    COALESCE(offline, FALSE) AS offline,
    COALESCE(discount, 0) > 0 OR COALESCE(CARDINALITY(coupons), 0) > 0 AS discounted,
    subscription_id,
    delivery_number,
    line_count
  FROM valid_orders_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
numbered AS (
  SELECT
    customer_id,
    source,
    store,
    order_id,
    ordered_on,
    order_amount,
    goods_amount,
    media,
    offline,
    discounted,
    subscription_id,
    delivery_number,
    line_count,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY ordered_on, ordered_at, source, store, order_id) AS place,
    DENSE_RANK() OVER (PARTITION BY customer_id ORDER BY ordered_on) AS occasion,
    ROW_NUMBER() OVER (
      PARTITION BY customer_id, ordered_on ORDER BY ordered_at, source, store, order_id
    ) AS place_of_day,
    LEAD(ordered_on) OVER (PARTITION BY customer_id ORDER BY ordered_on, ordered_at, source, store, order_id) AS following,
    MIN(ordered_on) OVER (PARTITION BY customer_id) AS first_on,
    MAX(ordered_on) OVER (PARTITION BY customer_id) AS last_on
  FROM valued
),
merged AS (
  SELECT
    customer_id,
    source,
    store,
    order_id,
    ordered_on,
    order_amount,
    goods_amount,
    media,
    offline,
    discounted,
    subscription_id,
    delivery_number,
    line_count,
    CASE WHEN :same_day_is_one = 1 THEN occasion ELSE place END AS number,
    CASE WHEN :same_day_is_one = 1 AND place_of_day > 1 THEN 0 ELSE 1 END AS counted,
    CASE
      WHEN :same_day_is_one = 1
        THEN MIN(CASE WHEN following > ordered_on THEN following END) OVER (PARTITION BY customer_id, ordered_on)
      ELSE following
    END AS next_on,
    first_on,
    last_on
  FROM numbered
)
SELECT
  customer_id,
  CAST(number AS integer) AS number,
  CAST(counted AS integer) AS counted,
  CAST(MAX(number) OVER (PARTITION BY customer_id) AS integer) AS orders,
  source,
  store,
  order_id,
  ordered_on,
  first_on,
  last_on,
  next_on,
  CAST(DATE_DIFF('day', first_on, ordered_on) AS integer) AS day,
  CAST(
    CASE :amount_basis
      WHEN 'goods_total' THEN goods_amount
      WHEN 'gross_margin' THEN ROUND(
        CAST(COALESCE(goods_amount, order_amount) * :margin_percent AS double) / 100
      )
      ELSE order_amount
    END AS bigint
  ) AS amount,
  CAST(order_amount AS bigint) AS order_amount,
  media,
  offline,
  discounted,
  subscription_id,
  CAST(delivery_number AS integer) AS delivery_number,
  CAST(line_count AS integer) AS line_count
FROM merged
