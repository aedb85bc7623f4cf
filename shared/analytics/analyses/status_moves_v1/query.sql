-- ステータスの移動 (definitions.md §14): who stands in another status than in the run before, counted on the day it was
-- found and never again; the month's sum goes on from the run before. All 25 moves, the empty ones too.
WITH statuses AS (
  SELECT status
  FROM (VALUES 'none', 'dormant', 'at_risk', 'loyal', 'new', 'promising') AS known (status)
),
moved AS (
  SELECT COALESCE(previous_status, 'none') AS from_status, status AS to_status, COUNT(*) AS customers
  FROM status_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND status IS DISTINCT FROM previous_status
  GROUP BY COALESCE(previous_status, 'none'), status
),
so_far AS (
  SELECT from_status, to_status, month_moves
  FROM status_moves_v1
  WHERE tenant = :tenant
    AND dt = :previous_on
    AND dt >= CAST(DATE_TRUNC('month', :as_of) AS date)
)
SELECT
  origin.status AS from_status,
  target.status AS to_status,
  CAST(COALESCE(moved.customers, 0) AS bigint) AS customers,
  CAST(COALESCE(so_far.month_moves, 0) + COALESCE(moved.customers, 0) AS bigint) AS month_moves
FROM statuses AS origin
INNER JOIN statuses AS target ON target.status <> origin.status AND target.status <> 'none'
LEFT JOIN moved ON moved.from_status = origin.status AND moved.to_status = target.status
LEFT JOIN so_far ON so_far.from_status = origin.status AND so_far.to_status = target.status
