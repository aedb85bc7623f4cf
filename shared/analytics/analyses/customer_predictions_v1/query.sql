-- Each buyer's predictions: those of the group with the same history, and money by the buyer's own spend.
-- Gamma-gamma is closed-form: (value_scale + what was spent) × the group's factor. Where the audit found the models no
-- better than a naive rule, that rule is what stands here (source = naive), with the buyer's own mean and no interval.
WITH buyers AS (
  SELECT
    customer_id,
    COALESCE(CARDINALITY(gaps), 0) AS x,
    DATE_DIFF('day', first_on, last_on) AS t_x,
    DATE_DIFF('day', first_on, :as_of) AS t_cal,
    last_on,
    amount,
    CAST(amount AS double) / NULLIF(COALESCE(CARDINALITY(gaps), 0) + 1, 0) AS own_mean
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
predicted AS (
  SELECT
    buyers.customer_id,
    buyers.last_on,
    groups.p_alive,
    groups.p_order_30,
    groups.p_order_90,
    groups.orders_365,
    CASE
      WHEN groups.source = 'naive' THEN groups.orders_365 * buyers.own_mean
      ELSE (groups.value_scale + buyers.amount) * groups.value_mean
    END AS ltv,
    (groups.value_scale + buyers.amount) * groups.value_low AS ltv_low,
    (groups.value_scale + buyers.amount) * groups.value_high AS ltv_high,
    groups.model,
    groups.source
  FROM buyers
  INNER JOIN model_predictions_v1 AS groups
    ON groups.x = buyers.x
    AND groups.t_x = buyers.t_x
    AND groups.t_cal = buyers.t_cal
  WHERE groups.tenant = :tenant
    AND groups.dt = :as_of
),
ranked AS (
  SELECT
    customer_id,
    last_on,
    p_alive,
    p_order_30,
    p_order_90,
    orders_365,
    ltv,
    ltv_low,
    ltv_high,
    model,
    source,
    -- How many are predicted to bring more: equals stand or fall together.
    RANK() OVER (ORDER BY ltv DESC) - 1 AS better,
    COUNT(*) OVER () AS everybody
  FROM predicted
)
SELECT
  ranked.customer_id,
  CAST(ranked.p_alive AS double) AS p_alive,
  CAST(ranked.p_order_30 AS double) AS p_order_30,
  CAST(ranked.p_order_90 AS double) AS p_order_90,
  CAST(ranked.orders_365 AS double) AS orders_365,
  CAST(ROUND(ranked.ltv) AS bigint) AS ltv_365,
  CAST(ROUND(ranked.ltv_low) AS bigint) AS ltv_365_low,
  CAST(ROUND(ranked.ltv_high) AS bigint) AS ltv_365_high,
  -- 高: realised in the top share. 潜在: predicted to be, not yet realised. 低: the rest.
  CASE
    WHEN status_v1.ltv_tier = 'high' THEN 'high'
    WHEN ranked.ltv > 0 AND ranked.better * 100 < :top_percent * ranked.everybody THEN 'potential'
    ELSE 'low'
  END AS ltv_tier,
  CAST(DATE_ADD('day', CAST(ROUND(status_v1.cycle_days) AS integer), ranked.last_on) AS date) AS next_order_on,
  status_v1.cycle_level AS next_order_by,
  ranked.model,
  ranked.source
FROM ranked
INNER JOIN status_v1
  ON status_v1.customer_id = ranked.customer_id
WHERE status_v1.tenant = :tenant
  AND status_v1.dt = :as_of
