-- RFM + M (definitions.md §2): any two axes with the third as a filter; all 216 cells, the empty ones too.
WITH cells AS (
  SELECT recency.r, frequency.f, monetary.m
  FROM UNNEST(SEQUENCE(1, 6)) AS recency (r)
  CROSS JOIN UNNEST(SEQUENCE(1, 6)) AS frequency (f)
  CROSS JOIN UNNEST(SEQUENCE(1, 6)) AS monetary (m)
),
counts AS (
  SELECT r, f, m, MIN(rank) AS rank, COUNT(*) AS customers, SUM(orders) AS orders, SUM(amount) AS amount
  FROM rfm_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY r, f, m
)
SELECT
  CAST(cells.r AS integer) AS r,
  CAST(cells.f AS integer) AS f,
  CAST(cells.m AS integer) AS m,
  counts.rank,
  CAST(COALESCE(counts.customers, 0) AS bigint) AS customers,
  CAST(COALESCE(counts.orders, 0) AS bigint) AS orders,
  CAST(COALESCE(counts.amount, 0) AS bigint) AS amount
FROM cells
LEFT JOIN counts ON counts.r = cells.r AND counts.f = cells.f AND counts.m = cells.m
