-- Ids that rows are kept under and the person each is read as (名寄せ): the newest row of an id counts, for all days past.
-- An id that is not here is a person by itself.
SELECT stored_id, customer_id
FROM (
  SELECT
    stored_id,
    customer_id,
    ROW_NUMBER() OVER (PARTITION BY stored_id ORDER BY written_at DESC, sequence DESC) AS newest
  FROM person_ids
  WHERE tenant = :tenant
    AND month >= '1990-01'
    AND written_at < :known_before
) AS ids
WHERE newest = 1
