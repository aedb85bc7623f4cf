-- Consent of each person per channel and store by the as-of day (配信許諾).
SELECT customer_id, channel, store, status
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
WHERE newest = 1
  AND NOT removed
