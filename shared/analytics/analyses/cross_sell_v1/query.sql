-- クロス集計 (definitions.md §8): of the people who bought the base, who also bought X, with the same order counted and
-- without. A product of the base is no X.
WITH
--> rows.sql,
sizes AS (
  SELECT base, COUNT(*) AS customers
  FROM base_people
  GROUP BY base
),
buyers AS (
  SELECT product_id, COUNT(DISTINCT customer_id) AS customers, MIN(title) AS title
  FROM bought
  GROUP BY product_id
),
everybody AS (
  SELECT COUNT(DISTINCT customer_id) AS customers
  FROM bought
),
counts AS (
  SELECT
    also.base,
    also.product_id,
    variants.with_same,
    COALESCE(SUM(CASE WHEN variants.with_same = 1 OR also.elsewhere = 1 THEN 1 ELSE 0 END), 0) AS customers
  FROM also
  CROSS JOIN UNNEST(SEQUENCE(0, 1)) AS variants (with_same)
  GROUP BY also.base, also.product_id, variants.with_same
)
SELECT
  counts.base,
  counts.product_id,
  buyers.title,
  counts.with_same = 1 AS same_order,
  CAST(sizes.customers AS bigint) AS base_customers,
  CAST(counts.customers AS bigint) AS customers,
  CAST(buyers.customers AS bigint) AS product_customers,
  CAST(everybody.customers AS bigint) AS all_customers,
  CAST(counts.customers AS double) / NULLIF(everybody.customers, 0) AS support,
  CAST(counts.customers AS double) / NULLIF(sizes.customers, 0) AS confidence,
  CAST(counts.customers * everybody.customers AS double) / NULLIF(sizes.customers * buyers.customers, 0) AS lift
FROM counts
INNER JOIN sizes ON sizes.base = counts.base
INNER JOIN buyers ON buyers.product_id = counts.product_id
CROSS JOIN everybody
