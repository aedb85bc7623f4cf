-- LTV推移 by week of the first order (definitions.md §3), beside the months of ltv_cohorts_v1.
SELECT
  entry AS cohort_week,
  entry = CAST(CAST(DATE_TRUNC('week', :as_of) AS date) AS varchar) AS latest_week,
--> ../ltv_measures.sql
  AND dimension = 'week'
