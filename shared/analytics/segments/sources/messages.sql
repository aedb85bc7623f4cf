-- What became of messages to each person (配信結果), by the as-of day; nothing that a proxy or scanner did.
SELECT
  COALESCE(persons.customer_id, messages.customer_id) AS customer_id,
  messages.send_id,
  messages.scenario,
  messages.step,
  messages.channel,
  messages.event,
  messages.occurred_on
FROM messages
LEFT JOIN (
--> persons.sql
) AS persons
  ON persons.stored_id = messages.customer_id
WHERE messages.tenant = :tenant
  AND messages.month <= :as_of_month
  AND messages.month >= :since_month
  AND messages.occurred_on <= :as_of
  AND messages.received_at < :known_before
  AND NOT COALESCE(messages.machine, FALSE)
