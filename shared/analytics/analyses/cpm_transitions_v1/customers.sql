WITH
--> rows.sql
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
