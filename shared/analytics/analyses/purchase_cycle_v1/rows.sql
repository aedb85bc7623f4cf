-- Gaps between single purchases, and the one still open on the as-of day; people whose every order is a delivery have none.
singles AS (
  SELECT customer_id, single_days
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND CARDINALITY(single_days) > 0
),
single_gaps AS (
  SELECT
    customer_id,
    ELEMENT_AT(single_days, series.place) - ELEMENT_AT(single_days, series.place - 1) AS gap,
    1 AS ended
  FROM singles
  CROSS JOIN UNNEST(SEQUENCE(2, CARDINALITY(single_days))) AS series (place)
  WHERE CARDINALITY(single_days) > 1
  UNION ALL
  SELECT
    customer_id,
    DATE_DIFF('day', DATE '1970-01-01', :as_of) - ELEMENT_AT(single_days, CARDINALITY(single_days)) AS gap,
    0 AS ended
  FROM singles
)
