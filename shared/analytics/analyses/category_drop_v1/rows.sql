bought AS (
  SELECT
    customer_id,
    order_id,
    category,
    amount,
    -- 0 the last seven days, 1 the seven before …: every week has each weekday once.
    CAST(FLOOR(DATE_DIFF('day', ordered_on, :as_of) * CAST(0.14285714285714288 AS double)) AS integer) AS weeks_ago
  FROM lines_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND ordered_on > CAST(DATE_ADD('day', -7 * (:baseline_weeks + 1), :as_of) AS date)
),
people AS (
  SELECT
    category,
    customer_id,
    MAX(CASE WHEN weeks_ago = 0 THEN 1 ELSE 0 END) AS bought_last,
    MAX(CASE WHEN weeks_ago > 0 THEN 1 ELSE 0 END) AS bought_before
  FROM bought
  GROUP BY category, customer_id
)
