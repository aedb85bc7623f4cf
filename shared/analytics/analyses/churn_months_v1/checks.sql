#fail nobody_vanishes: before + entered + returned − churned is after
SELECT COUNT(*) AS violations FROM churn_months_v1
WHERE tenant = :tenant AND dt = :as_of AND active_before + entered + returned - churned <> active_after
#fail every_month: one row per month, empty ones too
SELECT ABS(COUNT(*) - :retention_months) AS violations FROM churn_months_v1 WHERE tenant = :tenant AND dt = :as_of
