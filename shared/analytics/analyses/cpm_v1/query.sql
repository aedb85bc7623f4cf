-- CPM (definitions.md §1): five groups by orders, 在籍日数 and amount, each 現役 or 離脱: everybody is in exactly one of ten.
-- The published text puts the exact amount into two groups: here below it is コツコツ, from it on 流行 or 優良.
WITH measured AS (
  SELECT
    customer_id,
    orders,
    amount,
    DATE_DIFF('day', first_on, last_on) AS tenure_days,
    recency_days
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
placed AS (
  SELECT
    customer_id,
    orders,
    amount,
    tenure_days,
    recency_days,
    CASE
      WHEN orders = 1 THEN '初回'
      WHEN tenure_days < :cpm_settled_days THEN 'よちよち'
      WHEN amount < :cpm_amount THEN 'コツコツ'
      WHEN tenure_days < :cpm_loyal_days THEN '流行'
      ELSE '優良'
    END AS stage,
    recency_days < :cpm_churn_days AS active
  FROM measured
)
SELECT
  customer_id,
  orders,
  amount,
  CAST(tenure_days AS integer) AS tenure_days,
  recency_days,
  stage,
  active,
  stage || CASE WHEN active THEN '現役' ELSE '離脱' END AS cpm_group
FROM placed
