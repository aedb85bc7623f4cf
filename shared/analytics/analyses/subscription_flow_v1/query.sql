-- 定期フロー (definitions.md §6): of the contracts with an n-th delivery, which had the next one, and what became of the
-- others. A skip is none of these.
WITH
--> rows.sql,
sizes AS (
  SELECT dimension, box, COUNT(*) AS contracts
  FROM boxes
  GROUP BY dimension, box
),
steps AS (
  SELECT
    boxes.dimension,
    boxes.box,
    series.n,
    COUNT(*) AS reached,
    SUM(CASE WHEN boxes.deliveries > series.n THEN 1 ELSE 0 END) AS continued,
    SUM(CASE WHEN boxes.deliveries = series.n AND boxes.outcome = 'cancelled' THEN 1 ELSE 0 END) AS cancelled,
    SUM(CASE WHEN boxes.deliveries = series.n AND boxes.outcome = 'paused' THEN 1 ELSE 0 END) AS paused,
    SUM(CASE WHEN boxes.deliveries = series.n AND boxes.outcome = 'held' THEN 1 ELSE 0 END) AS held,
    SUM(CASE WHEN boxes.deliveries = series.n AND boxes.outcome = 'expired' THEN 1 ELSE 0 END) AS expired,
    SUM(CASE WHEN boxes.deliveries = series.n AND boxes.outcome = 'undecided' THEN 1 ELSE 0 END) AS undecided
  FROM boxes
  CROSS JOIN UNNEST(SEQUENCE(1, :followed_orders)) AS series (n)
  WHERE boxes.deliveries >= series.n
  GROUP BY boxes.dimension, boxes.box, series.n
)
SELECT
  steps.dimension,
  steps.box,
  CAST(steps.n AS integer) AS delivery_number,
  CAST(sizes.contracts AS bigint) AS contracts,
  CAST(steps.reached AS bigint) AS reached,
  CAST(steps.continued AS bigint) AS continued,
  CAST(steps.cancelled AS bigint) AS cancelled,
  CAST(steps.paused AS bigint) AS paused,
  CAST(steps.held AS bigint) AS held,
  CAST(steps.expired AS bigint) AS expired,
  CAST(steps.undecided AS bigint) AS undecided,
  CAST(steps.continued AS double) / NULLIF(steps.reached - steps.undecided, 0) AS continuation_rate,
  CAST(steps.cancelled AS double) / NULLIF(steps.reached - steps.undecided, 0) AS cancel_rate,
  CAST(steps.reached AS double)
    / NULLIF(MAX(steps.reached) OVER (PARTITION BY steps.dimension, steps.box), 0) AS residual_rate
FROM steps
INNER JOIN sizes ON sizes.dimension = steps.dimension AND sizes.box = steps.box
