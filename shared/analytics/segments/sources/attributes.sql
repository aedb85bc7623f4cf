-- What is known of each person by the as-of day: the newest saying of each name (顧客属性).
SELECT customer_id, name, value, number, choices, said_on
FROM (
  SELECT
    customer_id,
    name,
    value,
    number,
    choices,
    said_on,
    removed,
    ROW_NUMBER() OVER (PARTITION BY customer_id, name ORDER BY said_at DESC, written_at DESC, sequence DESC) AS newest
  FROM attribute_states
  WHERE tenant = :tenant
    AND month >= '1990-01'
    AND said_on <= :as_of
    AND written_at < :known_before
) AS said
WHERE newest = 1
  AND NOT removed
