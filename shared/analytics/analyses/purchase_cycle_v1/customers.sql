-- Gaps are counted, and a person may have several of one length: the list names each person once. Lengths at which no
-- gap ended have no row, so their open gaps have no list.
WITH
--> rows.sql,
shown AS (
  SELECT gap
  FROM single_gaps
  WHERE ended = 1
  UNION
  SELECT finished.gap
  FROM buyers_v1
  CROSS JOIN UNNEST(buyers_v1.gaps) AS finished (gap)
  WHERE tenant = :tenant AND dt = :as_of
)
SELECT DISTINCT
  CASE WHEN single_gaps.ended = 1 THEN 'finished' ELSE 'still_open' END AS counted,
  CAST(single_gaps.gap AS integer) AS gap_days,
  single_gaps.customer_id
FROM single_gaps
INNER JOIN shown ON shown.gap = single_gaps.gap
