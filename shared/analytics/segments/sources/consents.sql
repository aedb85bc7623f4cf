-- Consent of each person per channel and store by the as-of day (配信許諾).
-- Of ids that are read as one person a no of any stands, at its store or, said for every store, at all: nobody is
-- listed as agreed whom the sender would hold back.
SELECT
  customer_id,
  channel,
  store,
  CASE
    WHEN MAX(CASE WHEN status = 'opt_out' OR first_refused <> stored_id OR last_refused <> stored_id THEN 1 ELSE 0 END) = 1
      THEN 'opt_out'
    ELSE MIN(status)
  END AS status
FROM (
  SELECT
    COALESCE(persons.customer_id, said.customer_id) AS customer_id,
    said.customer_id AS stored_id,
    said.channel,
    said.store,
    said.status,
    -- Whether another id than that of the row refused every store.
    MIN(CASE WHEN said.store = '*' AND said.status = 'opt_out' THEN said.customer_id END) OVER (
      PARTITION BY COALESCE(persons.customer_id, said.customer_id), said.channel
    ) AS first_refused,
    MAX(CASE WHEN said.store = '*' AND said.status = 'opt_out' THEN said.customer_id END) OVER (
      PARTITION BY COALESCE(persons.customer_id, said.customer_id), said.channel
    ) AS last_refused
  FROM (
    SELECT
      customer_id,
      channel,
      store,
      status,
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
GROUP BY customer_id, channel, store
