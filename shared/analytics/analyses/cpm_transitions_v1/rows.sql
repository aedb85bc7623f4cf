places AS (
  SELECT place, name
  FROM (
    VALUES
      (0, '新規'), (1, '初回現役'), (2, 'よちよち現役'), (3, 'コツコツ現役'), (4, '流行現役'), (5, '優良現役'),
      (6, '初回離脱'), (7, 'よちよち離脱'), (8, 'コツコツ離脱'), (9, '流行離脱'), (10, '優良離脱'), (11, '対象外')
  ) AS known (place, name)
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
)
