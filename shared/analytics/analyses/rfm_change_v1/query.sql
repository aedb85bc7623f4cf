-- RFM between two dates (definitions.md §2): from which rank to which; people absent on the first date are 新規購入.
-- All cells, empty ones too.
WITH places AS (
  SELECT place, name
  FROM (
    VALUES
      (0, '新規購入'), (1, '優良'), (2, '有望'), (3, '新規'), (4, '浮気予備軍'), (5, '悩み'), (6, '浮気・不満'),
      (7, '離反'), (8, '対象外')
  ) AS known (place, name)
),
counts AS (
  SELECT
    from_rank,
    to_rank,
    COUNT(*) AS customers,
    COALESCE(SUM(from_amount), 0) AS from_amount,
    COALESCE(SUM(to_amount), 0) AS to_amount
  FROM rfm_dates_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY from_rank, to_rank
),
cells AS (
  SELECT
    origin.place AS from_place,
    origin.name AS from_rank,
    target.place AS to_place,
    target.name AS to_rank,
    COALESCE(counts.customers, 0) AS customers,
    COALESCE(counts.from_amount, 0) AS from_amount,
    COALESCE(counts.to_amount, 0) AS to_amount
  FROM places AS origin
  INNER JOIN places AS target ON origin.place <= 7 AND target.place >= 1 AND (origin.place >= 1 OR target.place <= 7)
  LEFT JOIN counts ON counts.from_rank = origin.name AND counts.to_rank = target.name
)
SELECT
  CAST(DATE_ADD('day', -:comparison_days, :as_of) AS date) AS compared_on,
  CAST(from_place AS integer) AS from_place,
  from_rank,
  CAST(to_place AS integer) AS to_place,
  to_rank,
  CAST(customers AS bigint) AS customers,
  CAST(from_amount AS bigint) AS from_amount,
  CAST(to_amount AS bigint) AS to_amount,
  CAST(customers AS double) / NULLIF(SUM(customers) OVER (PARTITION BY from_place), 0) AS share
FROM cells
