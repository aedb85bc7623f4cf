-- The 6 × 6 table of R and F: all 36 cells, the empty ones too.
WITH cells AS (
  SELECT recency.r, frequency.f
  FROM UNNEST(SEQUENCE(1, 6)) AS recency (r)
  CROSS JOIN UNNEST(SEQUENCE(1, 6)) AS frequency (f)
),
counts AS (
  SELECT r, f, COUNT(*) AS customers, SUM(orders) AS orders, SUM(amount) AS amount
  FROM rfm_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY r, f
)
SELECT
  CAST(cells.r AS integer) AS r,
  CAST(cells.f AS integer) AS f,
  CAST(COALESCE(counts.customers, 0) AS bigint) AS customers,
  CAST(COALESCE(counts.orders, 0) AS bigint) AS orders,
  CAST(COALESCE(counts.amount, 0) AS bigint) AS amount
FROM cells
LEFT JOIN counts ON counts.r = cells.r AND counts.f = cells.f
