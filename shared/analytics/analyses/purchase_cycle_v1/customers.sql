-- Gaps are counted, and a person may have several of one length: the list names each person once. Lengths at which no
-- gap ended have no row, so their open gaps have no list.
WITH ended AS (
  SELECT DISTINCT CAST(finished.gap AS integer) AS gap_days, buyers_v1.customer_id
  FROM buyers_v1
  CROSS JOIN UNNEST(buyers_v1.gaps) AS finished (gap)
  WHERE tenant = :tenant AND dt = :as_of
),
waiting AS (
  SELECT CAST(recency_days AS integer) AS gap_days, customer_id
  FROM buyers_v1
  WHERE tenant = :tenant AND dt = :as_of
)
SELECT 'finished' AS counted, gap_days, customer_id
FROM ended
UNION ALL
SELECT 'still_open' AS counted, gap_days, customer_id
FROM waiting
WHERE gap_days IN (SELECT gap_days FROM ended)
