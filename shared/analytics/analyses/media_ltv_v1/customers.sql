WITH
--> rows.sql
SELECT
  'new_customers' AS counted,
  paths.variant,
  paths.media,
  CAST(horizons.days AS integer) AS within_days,
  paths.customer_id
FROM paths
CROSS JOIN horizons
WHERE paths.ordered_on = paths.entered_on
  AND DATE_DIFF(
    'day',
    CAST(DATE_ADD('day', -1, DATE_ADD('month', 1, CAST(DATE_TRUNC('month', paths.entered_on) AS date))) AS date),
    :as_of
  ) >= horizons.days
