-- F2転換率 (definitions.md §9) by the product, category, media and store of the first order.
SELECT
  dimension,
  entry,
  label,
  within_days,
  within_days = :f2_days AS chosen,
  customers,
  mature_customers,
  complete,
  repeat_customers AS second_buyers,
  CAST(CASE WHEN mature_customers > 0 THEN mature_customers - repeat_customers END AS bigint) AS one_timers,
  repeat_rate AS f2_rate
FROM ltv_by_first_v1
WHERE tenant = :tenant
  AND dt = :as_of
  AND anchor = 'first_order'
  AND dimension IN ('product', 'category', 'media', 'store')
