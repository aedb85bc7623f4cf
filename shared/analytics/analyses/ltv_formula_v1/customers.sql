SELECT lists.counted, variants.variant, buyers_v1.customer_id
FROM buyers_v1
CROSS JOIN (VALUES 'two_term', 'geometric') AS variants (variant)
CROSS JOIN (VALUES 'customers', 'repeat_customers') AS lists (counted)
WHERE buyers_v1.tenant = :tenant
  AND buyers_v1.dt = :as_of
  AND (lists.counted = 'customers' OR buyers_v1.orders >= 2)
