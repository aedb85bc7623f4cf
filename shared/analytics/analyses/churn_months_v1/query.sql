-- 月次の継続・離脱: who was 現役 (an order within 離脱基準日, definitions.md §6) before a month and at its end, by the orders as
-- they are known now. A new person may lapse within a month when churn_days is short.
WITH
--> rows.sql,
counts AS (
  SELECT
    months_ago,
    SUM(CASE WHEN active_before THEN 1 ELSE 0 END) AS active_before,
    SUM(CASE WHEN entered THEN 1 ELSE 0 END) AS entered,
    SUM(CASE WHEN NOT active_before AND NOT entered AND active_after THEN 1 ELSE 0 END) AS returned,
    SUM(CASE WHEN (active_before OR entered) AND NOT active_after THEN 1 ELSE 0 END) AS churned,
    SUM(CASE WHEN active_after THEN 1 ELSE 0 END) AS active_after
  FROM placed
  GROUP BY months_ago
)
SELECT
  SUBSTR(CAST(days.month_end AS varchar), 1, 7) AS churn_month,
  days.month_end > :as_of AS partial,
  CAST(COALESCE(counts.active_before, 0) AS bigint) AS active_before,
  CAST(COALESCE(counts.entered, 0) AS bigint) AS entered,
  CAST(COALESCE(counts.returned, 0) AS bigint) AS returned,
  CAST(COALESCE(counts.churned, 0) AS bigint) AS churned,
  CAST(COALESCE(counts.active_after, 0) AS bigint) AS active_after,
  CAST(counts.churned AS double) / NULLIF(counts.active_before + counts.entered, 0) AS churn_rate,
  CAST(counts.active_before + counts.entered - counts.churned AS double)
    / NULLIF(counts.active_before + counts.entered, 0) AS retention_rate
FROM days
LEFT JOIN counts ON counts.months_ago = days.months_ago
