-- 解約見込みの検証: the calls of four weeks ago against what the contracts have done since, at the call centre's capacity.
-- A contract is known by its own id: its person may have become another since.
WITH outcomes AS (
  SELECT
    source,
    store,
    subscription_id,
    outcome
  FROM contracts_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
calls AS (
  SELECT
    ranked.ranked_on,
    ranked.place,
    ranked.newest_place,
    CASE WHEN outcomes.outcome = 'cancelled' THEN 1 ELSE 0 END AS cancelled
  FROM cancellation_then_v1 AS ranked
  LEFT JOIN outcomes
    ON outcomes.source = ranked.source
    AND outcomes.store = ranked.store
    AND outcomes.subscription_id = ranked.subscription_id
  WHERE ranked.tenant = :tenant
    AND ranked.dt = :as_of
)
SELECT
  CAST(DATE_DIFF('day', MIN(ranked_on), :as_of) AS integer) AS days,
  CAST(COUNT(*) AS bigint) AS contracts,
  CAST(SUM(cancelled) AS bigint) AS cancelled,
  CAST(LEAST(COUNT(*), :call_capacity) AS bigint) AS called,
  CAST(SUM(CASE WHEN place <= :call_capacity THEN cancelled ELSE 0 END) AS bigint) AS found,
  CAST(SUM(CASE WHEN newest_place <= :call_capacity THEN cancelled ELSE 0 END) AS bigint) AS found_newest
FROM calls
HAVING COUNT(*) > 0
