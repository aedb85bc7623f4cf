-- 併売パターン (definitions.md §7): the five products most bought together with a base product, by the n-th order.
WITH
--> rows.sql,
sizes AS (
  SELECT base, number, COUNT(DISTINCT customer_id) AS customers
  FROM together
  GROUP BY base, number
),
named AS (
  SELECT product_id, MIN(title) AS title
  FROM bought
  GROUP BY product_id
)
SELECT
  ranked.base,
  CAST(ranked.number AS integer) AS order_count,
  CAST(ranked.place AS integer) AS place,
  ranked.product_id,
  named.title,
  CAST(ranked.customers AS bigint) AS customers,
  CAST(sizes.customers AS bigint) AS base_customers,
  CAST(ranked.customers AS double) / NULLIF(sizes.customers, 0) AS rate
FROM ranked
INNER JOIN sizes ON sizes.base = ranked.base AND sizes.number = ranked.number
INNER JOIN named ON named.product_id = ranked.product_id
WHERE ranked.place <= 5
