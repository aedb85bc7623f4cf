-- RFM (definitions.md §2): six bins each, 6 is best. Upper limits of R and lower limits of F and M are inclusive.
WITH bins AS (
  SELECT
    customer_id,
    recency_days,
    orders,
    amount,
    CASE
      WHEN recency_days <= :r6 THEN 6
      WHEN recency_days <= :r5 THEN 5
      WHEN recency_days <= :r4 THEN 4
      WHEN recency_days <= :r3 THEN 3
      WHEN recency_days <= :r2 THEN 2
      ELSE 1
    END AS r,
    CASE
      WHEN orders >= :f6 THEN 6
      WHEN orders >= :f5 THEN 5
      WHEN orders >= :f4 THEN 4
      WHEN orders >= :f3 THEN 3
      WHEN orders >= :f2 THEN 2
      ELSE 1
    END AS f,
    CASE
      WHEN amount >= :m6 THEN 6
      WHEN amount >= :m5 THEN 5
      WHEN amount >= :m4 THEN 4
      WHEN amount >= :m3 THEN 3
      WHEN amount >= :m2 THEN 2
      ELSE 1
    END AS m
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
)
SELECT
  customer_id,
  recency_days,
  orders,
  amount,
  r,
  f,
  m,
  -- Rows are R ≤ 60, 61–180, 181–365, more; columns F 1, 2–3, 4 and more (with the default limits).
  CASE
    WHEN r >= 5 THEN CASE WHEN f = 1 THEN '新規' WHEN f <= 3 THEN '有望' ELSE '優良' END
    WHEN r >= 3 THEN CASE WHEN f <= 3 THEN '悩み' ELSE '浮気予備軍' END
    WHEN r = 2 THEN CASE WHEN f = 1 THEN '離反' ELSE '浮気・不満' END
    ELSE '離反'
  END AS rank
FROM bins
