people AS (
  SELECT
    segments_v1.segment,
    segments_v1.customer_id,
    buyers_v1.orders - buyers_v1.foreign_orders AS orders,
    buyers_v1.amount,
    CASE
      WHEN buyers_v1.recency_days >= :churn_days THEN 'churned'
      WHEN buyers_v1.orders >= 2 THEN 'continued'
      ELSE 'undecided'
    END AS outcome
  FROM segments_v1
  INNER JOIN buyers_v1 ON buyers_v1.customer_id = segments_v1.customer_id
  WHERE segments_v1.tenant = :tenant
    AND segments_v1.dt = :as_of
    AND buyers_v1.tenant = :tenant
    AND buyers_v1.dt = :as_of
)
