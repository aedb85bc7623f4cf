-- Every person with a valid order as of a day: how often, how much, when, and the gaps between their purchase days.
-- One pass groups the orders; the gaps come from each person's own few days, not from a window over all orders.
WITH people AS (
  SELECT
    customer_id,
    COUNT(*) AS orders,
    COUNT(amount) AS valued_orders,
    SUM(amount) AS amount,
    -- What RFM counts: the whole history, or the orders since a day the shop names (definitions.md §2).
    COUNT(CASE WHEN ordered_on >= :rfm_since THEN 1 END) AS rfm_orders,
    SUM(CASE WHEN ordered_on >= :rfm_since THEN amount END) AS rfm_amount,
    MIN(ordered_on) AS first_on,
    MAX(ordered_on) AS last_on,
    ARRAY_AGG(CAST(DATE_DIFF('day', DATE '1970-01-01', ordered_on) AS integer)) AS order_days,
    -- 定期 deliveries are no occasions of single purchases (definitions.md §10). Most shops have none: then this is nothing.
    ARRAY_AGG(CAST(DATE_DIFF('day', DATE '1970-01-01', ordered_on) AS integer))
      FILTER (WHERE subscription_id IS NOT NULL) AS delivery_days
  FROM valid_orders_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY customer_id
),
dated AS (
  SELECT
    customer_id,
    orders,
    valued_orders,
    amount,
    rfm_orders,
    rfm_amount,
    first_on,
    last_on,
    -- Two orders of one day are one occasion: a gap of 0 days is none.
    ARRAY_SORT(ARRAY_DISTINCT(order_days)) AS purchase_days,
    CASE
      WHEN delivery_days IS NOT NULL THEN ARRAY_SORT(
        ARRAY_DISTINCT(
          FILTER(
            order_days,
            day -> CARDINALITY(FILTER(order_days, other -> other = day))
              > CARDINALITY(FILTER(delivery_days, other -> other = day))
          )
        )
      )
    END AS mixed_days
  FROM people
)
SELECT
  customer_id,
  CAST(orders AS bigint) AS orders,
  CAST(COALESCE(amount, 0) AS bigint) AS amount,
  CAST(orders - valued_orders AS bigint) AS foreign_orders,
  CAST(rfm_orders AS bigint) AS rfm_orders,
  CAST(COALESCE(rfm_amount, 0) AS bigint) AS rfm_amount,
  first_on,
  last_on,
  CAST(DATE_DIFF('day', last_on, :as_of) AS integer) AS recency_days,
  CASE
    WHEN CARDINALITY(purchase_days) > 1 THEN ARRAY_SORT(
      TRANSFORM(
        SEQUENCE(2, CARDINALITY(purchase_days)),
        place -> ELEMENT_AT(purchase_days, place) - ELEMENT_AT(purchase_days, place - 1)
      )
    )
  END AS gaps,
  purchase_days,
  COALESCE(mixed_days, purchase_days) AS single_days
FROM dated
