-- How many people are in each of the ten CPM groups and what they bought: all ten, the empty ones too.
WITH places AS (
  SELECT place, stage, active
  FROM (
    VALUES
      (1, '初回', TRUE), (2, 'よちよち', TRUE), (3, 'コツコツ', TRUE), (4, '流行', TRUE), (5, '優良', TRUE),
      (6, '初回', FALSE), (7, 'よちよち', FALSE), (8, 'コツコツ', FALSE), (9, '流行', FALSE), (10, '優良', FALSE)
  ) AS known (place, stage, active)
),
counts AS (
  SELECT stage, active, COUNT(*) AS customers, SUM(orders) AS orders, SUM(amount) AS amount
  FROM cpm_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY stage, active
)
SELECT
  CAST(places.place AS integer) AS place,
  places.stage,
  places.active,
  places.stage || CASE WHEN places.active THEN '現役' ELSE '離脱' END AS cpm_group,
  CAST(COALESCE(counts.customers, 0) AS bigint) AS customers,
  CAST(COALESCE(counts.orders, 0) AS bigint) AS orders,
  CAST(COALESCE(counts.amount, 0) AS bigint) AS amount
FROM places
LEFT JOIN counts ON counts.stage = places.stage AND counts.active = places.active
