-- Consent of each person per channel and store by the as-of day (配信許諾).
SELECT customer_id, channel, store, status
FROM (
  SELECT
    COALESCE(persons.customer_id, said.customer_id) AS customer_id,
    said.channel,
    said.store,
    said.status,
    -- Of ids that are read as one person the latest word counts; at the same instant opt_out stands before opt_in.
    ROW_NUMBER() OVER (
      PARTITION BY COALESCE(persons.customer_id, said.customer_id), said.channel, said.store
      ORDER BY said.said_at DESC, said.status DESC
    ) AS latest
  FROM (
    SELECT
      customer_id,
      channel,
      store,
      status,
      said_at,
      removed,
      ROW_NUMBER() OVER (PARTITION BY customer_id, channel, store ORDER BY written_at DESC, sequence DESC) AS newest
    FROM consent_states
    WHERE tenant = :tenant
      AND month >= '1990-01'
      AND said_on <= :as_of
      AND written_at < :known_before
  ) AS said
  LEFT JOIN (
--> persons.sql
  ) AS persons
    ON persons.stored_id = said.customer_id
  WHERE said.newest = 1
    AND NOT said.removed
) AS known
WHERE latest = 1
