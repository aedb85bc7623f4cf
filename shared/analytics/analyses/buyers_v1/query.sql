-- Every person with a valid order as of a day: how often, how much, when, and the gaps between their purchase days.
WITH orders AS (
  SELECT
    customer_id,
    ordered_on,
    amount,
    -- Two orders of one day are one occasion: a gap of 0 days is none.
    DATE_DIFF('day', LAG(ordered_on) OVER (PARTITION BY customer_id ORDER BY ordered_on), ordered_on) AS gap
  FROM valid_orders_v1
  WHERE tenant = :tenant
    AND dt = :as_of
)
SELECT
  customer_id,
  CAST(COUNT(*) AS bigint) AS orders,
  CAST(COALESCE(SUM(amount), 0) AS bigint) AS amount,
  CAST(COUNT(*) - COUNT(amount) AS bigint) AS foreign_orders,
  -- What RFM counts: the whole history, or the orders since a day the shop names (definitions.md §2).
  CAST(COUNT(CASE WHEN ordered_on >= :rfm_since THEN 1 END) AS bigint) AS rfm_orders,
  CAST(COALESCE(SUM(CASE WHEN ordered_on >= :rfm_since THEN amount END), 0) AS bigint) AS rfm_amount,
  MIN(ordered_on) AS first_on,
  MAX(ordered_on) AS last_on,
  CAST(DATE_DIFF('day', MAX(ordered_on), :as_of) AS integer) AS recency_days,
  ARRAY_SORT(ARRAY_AGG(CAST(gap AS integer)) FILTER (WHERE gap > 0)) AS gaps,
  ARRAY_SORT(
    ARRAY_AGG(CAST(DATE_DIFF('day', DATE '1970-01-01', ordered_on) AS integer)) FILTER (WHERE gap IS NULL OR gap > 0)
  ) AS purchase_days
FROM orders
GROUP BY customer_id
