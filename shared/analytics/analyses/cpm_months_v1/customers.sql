WITH places AS (
  SELECT place, name
  FROM (
    VALUES
      (0, '新規'), (1, '初回現役'), (2, 'よちよち現役'), (3, 'コツコツ現役'), (4, '流行現役'), (5, '優良現役'),
      (6, '初回離脱'), (7, 'よちよち離脱'), (8, 'コツコツ離脱'), (9, '流行離脱'), (10, '優良離脱'), (11, '対象外')
  ) AS known (place, name)
)
SELECT
  'customers' AS counted,
  SUBSTR(CAST(CAST(DATE_ADD('month', -cpm_history_v1.months_ago, DATE_TRUNC('month', :as_of)) AS date) AS varchar), 1, 7) AS cpm_month,
  places.name AS cpm_group,
  cpm_history_v1.customer_id
FROM cpm_history_v1
INNER JOIN places ON places.place = cpm_history_v1.place
WHERE cpm_history_v1.tenant = :tenant
  AND cpm_history_v1.dt = :as_of
  AND cpm_history_v1.months_ago < :cpm_months
