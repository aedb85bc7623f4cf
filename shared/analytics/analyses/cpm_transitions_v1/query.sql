-- Who moved from which CPM group to which between two month ends: 10 × 10, with 新規 (had not bought a month earlier)
-- and 対象外 (every order cancelled since). All cells, empty ones too.
WITH
--> rows.sql,
days AS (
  SELECT
    months_ago,
    CAST(DATE_ADD('day', -1, DATE_ADD('month', 1 - months_ago, DATE_TRUNC('month', :as_of))) AS date) AS month_end
  FROM UNNEST(SEQUENCE(0, :cpm_months - 1)) AS series (months_ago)
),
counts AS (
  SELECT months_ago, from_place, to_place, COUNT(*) AS customers
  FROM moves
  GROUP BY months_ago, from_place, to_place
)
SELECT
  SUBSTR(CAST(days.month_end AS varchar), 1, 7) AS cpm_month,
  days.month_end > :as_of AS partial,
  CAST(origin.place AS integer) AS from_place,
  origin.name AS from_group,
  CAST(target.place AS integer) AS to_place,
  target.name AS to_group,
  CAST(COALESCE(counts.customers, 0) AS bigint) AS customers
FROM days
INNER JOIN places AS origin ON origin.place <= 10
INNER JOIN places AS target ON target.place >= 1 AND (origin.place >= 1 OR target.place <= 10)
LEFT JOIN counts
  ON counts.months_ago = days.months_ago
  AND counts.from_place = origin.place
  AND counts.to_place = target.place
