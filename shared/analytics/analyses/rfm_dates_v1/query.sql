-- RFM on two dates (definitions.md §2): each date as that day knew the orders, joined per person. The bins and ranks
-- are those of rfm_v1.
WITH days AS (
  SELECT earlier, CAST(DATE_ADD('day', -earlier * :comparison_days, :as_of) AS date) AS evaluated_on
  FROM UNNEST(SEQUENCE(0, 1)) AS series (earlier)
),
states AS (
  SELECT
    days.earlier,
    days.evaluated_on,
    customer_id,
    ordered_on,
    amount,
    currency,
    valid,
    FIRST_VALUE(removed) OVER (
      PARTITION BY days.earlier, customer_id, source, store, order_id
      ORDER BY written_at DESC, sequence DESC
    ) AS gone,
    ROW_NUMBER() OVER (
      PARTITION BY days.earlier, customer_id, source, store, order_id
      ORDER BY
        CASE WHEN removed THEN 2 WHEN changed_on <= days.evaluated_on THEN 0 ELSE 1 END,
        CASE WHEN changed_on <= days.evaluated_on THEN written_at END DESC NULLS LAST,
        CASE WHEN changed_on <= days.evaluated_on THEN sequence END DESC NULLS LAST,
        written_at,
        sequence
    ) AS held
  FROM order_states
  CROSS JOIN days
  WHERE tenant = :tenant
    AND month <= :as_of_month
    AND written_at < :known_before
    AND written_at < :known_before
    AND month <= SUBSTR(CAST(days.evaluated_on AS varchar), 1, 7)
),
people AS (
  SELECT
    earlier,
    customer_id,
    COUNT(*) AS orders,
    SUM(CASE WHEN currency = :currency THEN amount ELSE 0 END) AS amount,
    DATE_DIFF('day', MAX(ordered_on), evaluated_on) AS recency_days
  FROM states
  WHERE held = 1
    AND NOT gone
    AND valid
    AND ordered_on <= evaluated_on
  GROUP BY earlier, evaluated_on, customer_id
),
bins AS (
  SELECT
    earlier,
    customer_id,
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
  FROM people
),
ranked AS (
  SELECT
    earlier,
    customer_id,
    amount,
    r,
    f,
    m,
    CASE
      WHEN r >= 5 THEN CASE WHEN f = 1 THEN '新規' WHEN f <= 3 THEN '有望' ELSE '優良' END
      WHEN r >= 3 THEN CASE WHEN f <= 3 THEN '悩み' ELSE '浮気予備軍' END
      WHEN r = 2 THEN CASE WHEN f = 1 THEN '離反' ELSE '浮気・不満' END
      ELSE '離反'
    END AS rank
  FROM bins
)
SELECT
  customer_id,
  CAST(DATE_ADD('day', -:comparison_days, :as_of) AS date) AS compared_on,
  CAST(MAX(CASE WHEN earlier = 1 THEN r END) AS integer) AS from_r,
  CAST(MAX(CASE WHEN earlier = 1 THEN f END) AS integer) AS from_f,
  CAST(MAX(CASE WHEN earlier = 1 THEN m END) AS integer) AS from_m,
  COALESCE(MAX(CASE WHEN earlier = 1 THEN rank END), '新規購入') AS from_rank,
  CAST(MAX(CASE WHEN earlier = 0 THEN r END) AS integer) AS to_r,
  CAST(MAX(CASE WHEN earlier = 0 THEN f END) AS integer) AS to_f,
  CAST(MAX(CASE WHEN earlier = 0 THEN m END) AS integer) AS to_m,
  COALESCE(MAX(CASE WHEN earlier = 0 THEN rank END), '対象外') AS to_rank,
  CAST(MAX(CASE WHEN earlier = 1 THEN amount END) AS bigint) AS from_amount,
  CAST(MAX(CASE WHEN earlier = 0 THEN amount END) AS bigint) AS to_amount
FROM ranked
GROUP BY customer_id
