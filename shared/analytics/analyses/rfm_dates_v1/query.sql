-- RFM on two dates (definitions.md §2): each date as that day knew the orders, joined per person. The bins and ranks
-- are those of rfm_v1.
WITH days AS (
  SELECT CAST(DATE_ADD('day', -earlier * :comparison_days, :as_of) AS date) AS evaluated_on
  FROM UNNEST(SEQUENCE(0, 1)) AS series (earlier)
),
--> ../orders_on_days.sql,
people AS (
  SELECT
    CASE WHEN evaluated_on = :as_of THEN 0 ELSE 1 END AS earlier,
    customer_id,
    COUNT(CASE WHEN ordered_on >= :rfm_since THEN 1 END) AS orders,
    SUM(CASE WHEN ordered_on >= :rfm_since THEN amount ELSE 0 END) AS amount,
    DATE_DIFF('day', MAX(ordered_on), evaluated_on) AS recency_days
  FROM standing
  GROUP BY evaluated_on, customer_id
),
bins AS (
  SELECT
    earlier,
    customer_id,
    amount,
--> ../rfm_bins.sql
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
--> ../rfm_rank.sql
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
