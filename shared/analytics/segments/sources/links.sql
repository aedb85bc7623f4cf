-- Which ref names which person (名寄せ): the newest owner of each, as who that is read.
SELECT owners.ref, COALESCE(persons.customer_id, owners.customer_id) AS customer_id
FROM (
  SELECT
    ref,
    customer_id,
    removed,
    ROW_NUMBER() OVER (PARTITION BY ref ORDER BY written_at DESC, sequence DESC) AS newest
  FROM person_links
  WHERE tenant = :tenant
    AND month >= '1990-01'
    AND written_at < :known_before
) AS owners
LEFT JOIN (
--> persons.sql
) AS persons
  ON persons.stored_id = owners.customer_id
WHERE owners.newest = 1
  AND NOT owners.removed
