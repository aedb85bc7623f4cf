-- ステータス判定 (definitions.md §14): one status each, the first rule that holds.
--   休眠 dormant        no order for 240 days
--   離脱予備軍 at_risk   the gap since the last order is 1.5 × their purchase cycle or longer
--   優良 loyal          4 orders or more, and in the top 20 % by amount
--   新規 new            2 orders or fewer, or the first order within the last 90 days
--   リピート見込み promising   everybody else
-- The cycle is the median of their own gaps with 3 purchase days or more, else the shop's Kaplan–Meier median, in which
-- deliveries of subscriptions are no occasions;
-- where that is not computable (算出不可) nobody is at risk by it.
WITH shop_cycle AS (
  SELECT MAX(gap_days) AS days
  FROM purchase_cycle_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND median
),
buyers AS (
  SELECT
    customer_id,
    orders,
    amount,
    first_on,
    recency_days,
    CASE
      WHEN COALESCE(CARDINALITY(gaps), 0) >= 2
        THEN (
          ELEMENT_AT(gaps, CAST(FLOOR((CARDINALITY(gaps) + 1) * 0.5) AS integer))
          + ELEMENT_AT(gaps, CAST(FLOOR((CARDINALITY(gaps) + 2) * 0.5) AS integer))
        ) * CAST(0.5 AS double)
    END AS own_cycle_days,
    -- How many spent more: people with the same amount stand or fall together.
    RANK() OVER (ORDER BY amount DESC) - 1 AS spent_more,
    COUNT(*) OVER () AS everybody
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
measured AS (
  SELECT
    buyers.customer_id,
    buyers.orders,
    buyers.amount,
    buyers.first_on,
    buyers.recency_days,
    COALESCE(buyers.own_cycle_days, shop_cycle.days) AS cycle_days,
    CASE
      WHEN buyers.own_cycle_days IS NOT NULL THEN 'own'
      WHEN shop_cycle.days IS NOT NULL THEN 'shop'
    END AS cycle_level,
    buyers.amount > 0 AND buyers.spent_more * 100 < :top_percent * buyers.everybody AS top_amount
  FROM buyers
  CROSS JOIN shop_cycle
),
judged AS (
  SELECT
    customer_id,
    orders,
    amount,
    recency_days,
    cycle_days,
    cycle_level,
    top_amount,
    CASE
      WHEN recency_days >= :dormant_days THEN 'dormant'
      WHEN recency_days * 100 >= :overdue_percent * cycle_days THEN 'at_risk'
      WHEN orders >= :loyal_orders AND top_amount THEN 'loyal'
      WHEN orders <= :new_orders OR DATE_DIFF('day', first_on, :as_of) <= :new_days THEN 'new'
      ELSE 'promising'
    END AS status
  FROM measured
),
previous AS (
  SELECT customer_id, status, status_since
  FROM status_v1
  WHERE tenant = :tenant
    AND dt = :previous_on
)
SELECT
  judged.customer_id,
  judged.status,
  CASE WHEN previous.status = judged.status THEN previous.status_since ELSE :as_of END AS status_since,
  previous.status AS previous_status,
  -- By realised amount only; 潜在 (predicted high, realised low) is found by customer_predictions_v1.
  CASE WHEN judged.top_amount THEN 'high' ELSE 'low' END AS ltv_tier,
  judged.orders,
  judged.amount,
  judged.recency_days,
  CAST(judged.cycle_days AS double) AS cycle_days,
  judged.cycle_level
FROM judged
LEFT JOIN previous ON previous.customer_id = judged.customer_id
