-- Which ref names which person (名寄せ): the newest owner of each.
SELECT ref, customer_id
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
WHERE newest = 1
  AND NOT removed
