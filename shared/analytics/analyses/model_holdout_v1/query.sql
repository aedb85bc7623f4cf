-- What the models are tested on: histories as they stood some months ago, and how often those people have bought since.
-- The last third of the shop's history is held out, 182 days at most. Once a week (after a Sunday), and on the first
-- night ever; on other nights there are no rows and the last audit stays.
WITH span AS (
  SELECT
    DATE_ADD(
      'day',
      -CAST(LEAST(182, FLOOR(CAST(DATE_DIFF('day', MIN(first_on), :as_of) AS double) / 3)) AS integer),
      :as_of
    ) AS cutoff
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND (MOD(DATE_DIFF('day', DATE '2024-01-07', :as_of), 7) = 0 OR :previous_on = DATE '1990-01-01')
),
histories AS (
  SELECT
    span.cutoff,
    buyers_v1.first_on,
    buyers_v1.purchase_days,
    CARDINALITY(FILTER(buyers_v1.purchase_days, epoch_day -> epoch_day <= span.cutoff_day)) AS known
  FROM buyers_v1
  INNER JOIN (
    SELECT cutoff, DATE_DIFF('day', DATE '1970-01-01', cutoff) AS cutoff_day FROM span
  ) AS span ON buyers_v1.first_on <= span.cutoff
  WHERE buyers_v1.tenant = :tenant
    AND buyers_v1.dt = :as_of
),
split AS (
  SELECT
    cutoff,
    first_on,
    known - 1 AS x,
    ELEMENT_AT(purchase_days, known) - ELEMENT_AT(purchase_days, 1) AS t_x,
    CARDINALITY(purchase_days) - known AS later
  FROM histories
)
SELECT
  CAST(x AS integer) AS x,
  CAST(t_x AS integer) AS t_x,
  CAST(DATE_DIFF('day', first_on, cutoff) AS integer) AS t_cal,
  CAST(later AS integer) AS later,
  CAST(DATE_DIFF('day', cutoff, :as_of) AS integer) AS days,
  CAST(COUNT(*) AS bigint) AS customers
FROM split
GROUP BY x, t_x, DATE_DIFF('day', first_on, cutoff), later, DATE_DIFF('day', cutoff, :as_of)
