-- Besides each gap length: everybody who reached n, and everybody who came again, opened from any of its rows.
WITH
--> rows.sql,
gaps AS (
  SELECT
    number,
    customer_id,
    DATE_DIFF('day', ordered_on, COALESCE(next_on, :as_of)) AS gap,
    CASE WHEN next_on IS NULL THEN 0 ELSE 1 END AS ended
  FROM occasions
  WHERE number <= :followed_orders
),
shown AS (
  SELECT number, gap, MAX(ended) AS ended
  FROM gaps
  GROUP BY number, gap
  HAVING MAX(ended) = 1
  UNION ALL
  SELECT number, MIN(gap) AS gap, 0 AS ended
  FROM gaps
  GROUP BY number
  HAVING MAX(ended) = 0
)
SELECT
  lists.counted,
  CAST(shown.number AS integer) AS from_order,
  CAST(CASE WHEN shown.ended = 1 THEN shown.gap END AS integer) AS gap_days,
  gaps.customer_id
FROM shown
INNER JOIN gaps ON gaps.number = shown.number
CROSS JOIN (VALUES 'finished', 'still_open', 'customers', 'came_again') AS lists (counted)
WHERE (lists.counted = 'finished' AND gaps.gap = shown.gap AND gaps.ended = 1)
  OR (lists.counted = 'still_open' AND gaps.gap = shown.gap AND gaps.ended = 0)
  OR lists.counted = 'customers'
  OR (lists.counted = 'came_again' AND gaps.ended = 1)
