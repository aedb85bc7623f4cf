-- What lies beyond |z| in one tail of the normal distribution, for every z of `tested`: the Chebyshev fit of erfc, whose
-- error is below 1.2e-7.
folded AS (
  SELECT DISTINCT
    z,
    ABS(z) * CAST(0.7071067811865476 AS double) AS x,
    CAST(1 AS double) / NULLIF(1 + ABS(z) * CAST(0.3535533905932738 AS double), 0) AS u
  FROM tested
),
tails AS (
  SELECT
    z,
    CAST(0.5 AS double) * u * EXP(
      -x * x - 1.26551223 + u * (1.00002368 + u * (0.37409196 + u * (0.09678418 + u * (-0.18628806 + u * (0.27886807
      + u * (-1.13520398 + u * (1.48851587 + u * (-0.82215223 + u * 0.17087277))))))))
    ) AS tail
  FROM folded
)
