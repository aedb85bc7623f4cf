WITH
--> rows.sql,
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
SELECT
  'customers' AS counted,
  SUBSTR(CAST(CAST(DATE_ADD('month', -moves.months_ago, DATE_TRUNC('month', :as_of)) AS date) AS varchar), 1, 7) AS cpm_month,
  origin.name AS from_group,
  target.name AS to_group,
  moves.customer_id
FROM moves
INNER JOIN places AS origin ON origin.place = moves.from_place
INNER JOIN places AS target ON target.place = moves.to_place
WHERE moves.months_ago BETWEEN 0 AND :cpm_months - 1
