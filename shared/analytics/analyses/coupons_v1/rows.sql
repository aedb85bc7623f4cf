told AS (
  SELECT
    code,
    campaign,
    ROW_NUMBER() OVER (PARTITION BY code ORDER BY written_at DESC, campaign) AS newest
  FROM coupon_codes
  -- A code is told once and used for years: every month is read.
  WHERE tenant = :tenant
    AND month >= '1990-01'
    AND written_at < :known_before
),
-- An order may hold several codes, and one of them twice.
entered AS (
  SELECT DISTINCT
    bought.customer_id,
    bought.source,
    bought.store,
    bought.order_id,
    bought.ordered_on,
    bought.amount,
    bought.discount,
    UPPER(TRIM(said.code)) AS code
  FROM valid_orders_v1 AS bought
  CROSS JOIN UNNEST(bought.coupons) AS said (code)
  WHERE bought.tenant = :tenant
    AND bought.dt = :as_of
),
uses AS (
  SELECT
    told.campaign,
    entered.customer_id,
    entered.source,
    entered.store,
    entered.order_id,
    entered.ordered_on,
    entered.amount,
    entered.discount,
    entered.code
  FROM entered
  INNER JOIN told ON told.code = entered.code AND told.newest = 1
)
