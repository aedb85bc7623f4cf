-- How often chance alone gives a t as low as each of `deviates` or lower; t becomes a normal deviate by Wallace's formula.
tested AS (
  SELECT DISTINCT
    t,
    freedom,
    SIGN(t) * SQRT(freedom * LN(1 + CAST(t * t AS double) / NULLIF(freedom, 0)))
      * (1 - CAST(2 AS double) / NULLIF(8 * freedom + 3, 0)) AS z
  FROM deviates
),
--> normal_tail.sql,
chances AS (
  SELECT tested.t, tested.freedom, CASE WHEN tested.z < 0 THEN tails.tail ELSE 1 - tails.tail END AS chance
  FROM tested
  INNER JOIN tails ON tails.z = tested.z
)
