SELECT lists.counted, CAST(series.k AS integer) AS order_count, buyers_v1.customer_id
FROM buyers_v1
CROSS JOIN UNNEST(SEQUENCE(1, :followed_orders)) AS series (k)
CROSS JOIN (VALUES 'reached', 'continued', 'churned', 'undecided', 'customers') AS lists (counted)
WHERE buyers_v1.tenant = :tenant
  AND buyers_v1.dt = :as_of
  AND (
    lists.counted = 'customers'
    OR (lists.counted = 'reached' AND buyers_v1.orders >= series.k)
    OR (lists.counted = 'continued' AND buyers_v1.orders > series.k)
    OR (lists.counted = 'churned' AND buyers_v1.orders = series.k AND buyers_v1.recency_days >= :churn_days)
    OR (lists.counted = 'undecided' AND buyers_v1.orders = series.k AND buyers_v1.recency_days < :churn_days)
  )
