-- CPM month by month: the size of each of the ten groups on the last day of each month, empty ones too.
WITH places AS (
  SELECT place, stage, active
  FROM (
    VALUES
      (1, '初回', TRUE), (2, 'よちよち', TRUE), (3, 'コツコツ', TRUE), (4, '流行', TRUE), (5, '優良', TRUE),
      (6, '初回', FALSE), (7, 'よちよち', FALSE), (8, 'コツコツ', FALSE), (9, '流行', FALSE), (10, '優良', FALSE)
  ) AS known (place, stage, active)
),
days AS (
  SELECT
    months_ago,
    CAST(DATE_ADD('day', -1, DATE_ADD('month', 1 - months_ago, DATE_TRUNC('month', :as_of))) AS date) AS month_end
  FROM UNNEST(SEQUENCE(0, :cpm_months - 1)) AS series (months_ago)
),
counts AS (
  SELECT months_ago, place, COUNT(*) AS customers, SUM(amount) AS amount
  FROM cpm_history_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY months_ago, place
)
SELECT
  SUBSTR(CAST(days.month_end AS varchar), 1, 7) AS cpm_month,
  CASE WHEN days.months_ago = 0 THEN :as_of ELSE days.month_end END AS evaluated_on,
  days.month_end > :as_of AS partial,
  CAST(places.place AS integer) AS place,
  places.stage || CASE WHEN places.active THEN '現役' ELSE '離脱' END AS cpm_group,
  CAST(COALESCE(counts.customers, 0) AS bigint) AS customers,
  CAST(COALESCE(counts.amount, 0) AS bigint) AS amount
FROM days
CROSS JOIN places
LEFT JOIN counts ON counts.months_ago = days.months_ago AND counts.place = places.place
