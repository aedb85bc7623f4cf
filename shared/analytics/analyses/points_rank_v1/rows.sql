said AS (
--> ../../segments/sources/attributes.sql
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
  WHERE name LIKE 'points/%'
    OR (name LIKE 'rank/%' AND name NOT LIKE 'rank/%/until')
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
