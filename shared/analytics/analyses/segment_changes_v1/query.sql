-- Who entered or left a saved segment since the last complete run. Only where that run evaluated the same definition:
-- the first night of a definition says who is in it, and nobody entered it because of new words.
WITH now_counted AS (
  SELECT segment, version
  FROM segment_counts_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
then_counted AS (
  SELECT segment, version
  FROM segment_counts_v1
  WHERE tenant = :tenant
    AND dt = :previous_on
),
today AS (
  SELECT segment, version, customer_id
  FROM segment_members_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
earlier AS (
  SELECT segment, version, customer_id
  FROM segment_members_v1
  WHERE tenant = :tenant
    AND dt = :previous_on
)
SELECT
  now_counted.segment,
  now_counted.version,
  COALESCE(today.customer_id, earlier.customer_id) AS customer_id,
  CASE WHEN earlier.customer_id IS NULL THEN 'entered' ELSE 'left' END AS change,
  :previous_on AS since_on
FROM today
FULL OUTER JOIN earlier
  ON earlier.segment = today.segment
  AND earlier.version = today.version
  AND earlier.customer_id = today.customer_id
INNER JOIN now_counted
  ON now_counted.segment = COALESCE(today.segment, earlier.segment)
  AND now_counted.version = COALESCE(today.version, earlier.version)
INNER JOIN then_counted
  ON then_counted.segment = now_counted.segment
  AND then_counted.version = now_counted.version
WHERE today.customer_id IS NULL
  OR earlier.customer_id IS NULL
