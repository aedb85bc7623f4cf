WITH horizons AS (
  SELECT days
  FROM UNNEST(SEQUENCE(30, 360, 30)) AS series (days)
  UNION
  SELECT CAST(:ltv_days AS bigint) AS days
  UNION
  SELECT CAST(:f2_days AS bigint) AS days
)
SELECT
  lists.counted,
  entries_v1.entry AS product_id,
  entries_v1.anchor,
  CAST(horizons.days AS integer) AS within_days,
  entries_v1.customer_id
FROM entries_v1
CROSS JOIN horizons
CROSS JOIN (VALUES 'customers', 'mature_customers', 'repeat_customers') AS lists (counted)
WHERE entries_v1.tenant = :tenant
  AND entries_v1.dt = :as_of
  AND entries_v1.dimension = 'product'
  AND (lists.counted = 'customers' OR DATE_DIFF('day', entries_v1.entered_on, :as_of) >= horizons.days)
  AND (lists.counted <> 'repeat_customers' OR entries_v1.next_day <= horizons.days)
