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
-- Each place counts twice: as where somebody is, and a month later as where they came from.
moves AS (
  SELECT
    customer_id,
    months_ago - role.earlier AS months_ago,
    COALESCE(MAX(CASE WHEN role.earlier = 1 THEN place END), 0) AS from_place,
    COALESCE(MAX(CASE WHEN role.earlier = 0 THEN place END), 11) AS to_place
  FROM cpm_history_v1
  CROSS JOIN UNNEST(SEQUENCE(0, 1)) AS role (earlier)
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY customer_id, months_ago - role.earlier
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
