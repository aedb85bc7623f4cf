-- How many people each saved segment has. The night puts the list of the segments it evaluated in place of this
-- (segments/night.py); asked without it, they are those of the run before.
WITH earlier AS (
  SELECT segment, version, title
  FROM segment_counts_v1
  WHERE tenant = :tenant
    AND dt = :previous_on
),
members AS (
  SELECT segment, customer_id
  FROM segment_members_v1
  WHERE tenant = :tenant
    AND dt = :as_of
)
SELECT
  earlier.segment,
  earlier.version,
  earlier.title,
  CAST(COUNT(members.customer_id) AS bigint) AS people
FROM earlier
LEFT JOIN members ON members.segment = earlier.segment
GROUP BY earlier.segment, earlier.version, earlier.title
