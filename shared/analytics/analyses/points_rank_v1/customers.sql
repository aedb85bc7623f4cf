WITH said AS (
  SELECT
    customer_id,
    name,
    value,
    number,
    removed,
    ROW_NUMBER() OVER (PARTITION BY customer_id, name ORDER BY said_at DESC, written_at DESC, sequence DESC) AS newest
  FROM attribute_states
  WHERE tenant = :tenant
    AND month >= '1990-01'
    AND said_on <= :as_of
    AND written_at < :known_before
    AND (name LIKE 'points/%' OR (name LIKE 'rank/%' AND name NOT LIKE 'rank/%/until'))
),
named AS (
  SELECT
    customer_id,
    CASE
      WHEN name LIKE 'points/%/balance' THEN SUBSTR(name, 8, LENGTH(name) - 15)
      WHEN name LIKE 'points/%/expires_on' THEN SUBSTR(name, 8, LENGTH(name) - 18)
      WHEN name LIKE 'points/%/expiring' THEN SUBSTR(name, 8, LENGTH(name) - 16)
      WHEN name LIKE 'rank/%' THEN SUBSTR(name, 6)
    END AS store,
    CASE
      WHEN name LIKE 'points/%/balance' THEN 'balance'
      WHEN name LIKE 'points/%/expires_on' THEN 'expires_on'
      WHEN name LIKE 'points/%/expiring' THEN 'expiring'
      ELSE 'rank'
    END AS what,
    value,
    COALESCE(number, TRY_CAST(value AS double)) AS number
  FROM said
  WHERE newest = 1
    AND NOT removed
),
members AS (
  SELECT
    customer_id,
    store,
    COALESCE(MAX(CASE WHEN what = 'rank' THEN value END), 'なし') AS member_rank,
    COALESCE(MAX(CASE WHEN what = 'balance' THEN number END), 0) AS balance,
    COALESCE(MAX(CASE WHEN what = 'expiring' THEN number END), MAX(CASE WHEN what = 'balance' THEN number END), 0) AS expiring,
    MAX(CASE WHEN what = 'expires_on' THEN TRY_CAST(value AS date) END) AS expires_on
  FROM named
  WHERE store IS NOT NULL
  GROUP BY customer_id, store
),
judged AS (
  SELECT
    customer_id,
    store,
    member_rank,
    balance,
    CASE WHEN DATE_DIFF('day', :as_of, expires_on) BETWEEN 0 AND 30 AND balance > 0 THEN expiring ELSE 0 END AS expiring
  FROM members
)
SELECT 'customers' AS counted, store, member_rank, customer_id FROM judged
UNION ALL
SELECT 'holders' AS counted, store, member_rank, customer_id FROM judged WHERE balance > 0
UNION ALL
SELECT 'expiring_customers' AS counted, store, member_rank, customer_id FROM judged WHERE expiring > 0
UNION ALL
SELECT 'buyers' AS counted, judged.store, judged.member_rank, judged.customer_id
FROM judged
INNER JOIN buyers_v1 ON buyers_v1.customer_id = judged.customer_id
WHERE buyers_v1.tenant = :tenant AND buyers_v1.dt = :as_of
