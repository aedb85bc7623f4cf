-- What is known of each person by the as-of day: the newest saying of each name (顧客属性).
SELECT customer_id, name, value, number, choices, said_on
FROM (
  SELECT
    COALESCE(persons.customer_id, said.customer_id) AS customer_id,
    said.name,
    said.value,
    said.number,
    said.choices,
    said.said_on,
    -- Of an id the newest row counts, and of ids that are read as one person the latest saying.
    ROW_NUMBER() OVER (
      PARTITION BY COALESCE(persons.customer_id, said.customer_id), said.name
      ORDER BY said.said_at DESC, said.written_at DESC, said.sequence DESC
    ) AS latest
  FROM (
    SELECT
      customer_id,
      name,
      value,
      number,
      choices,
      said_at,
      said_on,
      written_at,
      sequence,
      removed,
      ROW_NUMBER() OVER (PARTITION BY customer_id, name ORDER BY said_at DESC, written_at DESC, sequence DESC) AS newest
    FROM attribute_states
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
