-- What the purchase models learn from: how many customers have the same history (design: models see groups).
-- x repeat purchase days, t_x days from the first to the last, t_cal days from the first to the as-of day (T).
WITH regularity AS (
  SELECT COALESCE(SUM(with_deliveries * LN(gap_days)), 0) AS log_gaps
  FROM purchase_cycle_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
histories AS (
  SELECT
    COALESCE(CARDINALITY(gaps), 0) AS x,
    DATE_DIFF('day', first_on, last_on) AS t_x,
    DATE_DIFF('day', first_on, :as_of) AS t_cal
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
)
SELECT
  CAST(histories.x AS integer) AS x,
  CAST(histories.t_x AS integer) AS t_x,
  CAST(histories.t_cal AS integer) AS t_cal,
  CAST(COUNT(*) AS bigint) AS customers,
  CAST(MAX(regularity.log_gaps) AS double) AS log_gaps
FROM histories
CROSS JOIN regularity
GROUP BY histories.x, histories.t_x, histories.t_cal
