horizons AS (
  SELECT days
  FROM UNNEST(SEQUENCE(30, 360, 30)) AS series (days)
  UNION
  SELECT CAST(:ltv_days AS bigint) AS days
)
