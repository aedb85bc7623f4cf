-- 解約見込み (C7): running contracts by their risk of a cancellation before the next shipment. A documented score, no model:
--   hazard   of those whose contract had n deliveries and is decided, the share that cancelled then; 10 contracts' worth
--            of the shop's own share are added, so that a number few have reached says little by itself
--   factors  held (payment failed or delivery overdue) 2, paused 1.5, another contract of theirs cancelled 1.5, and the
--            medium's share over the shop's (drawn together likewise)
-- A reason is given where a factor is there, or a share is half again the shop's. No contract decided: nothing to learn,
-- the hazard is null and only the factors order the calls. Where the weekly audit found that fewest deliveries first (newest)
-- finds no fewer cancellations than the score, the calls are ordered by that.
WITH contracts AS (
  SELECT
    customer_id,
    source,
    store,
    subscription_id,
    media,
    GREATEST(deliveries, 1) AS deliveries,
    outcome,
    next_delivery_on,
    CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END AS cancelled
  FROM contracts_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
-- A contract with n deliveries has been decided n - 1 times, once more when it was cancelled.
shop AS (
  SELECT CAST(SUM(cancelled) AS double) / NULLIF(SUM(deliveries - 1 + cancelled), 0) AS hazard
  FROM contracts
),
reached AS (
  SELECT
    deliveries,
    SUM(cancelled) AS cancelled,
    SUM(COUNT(*)) OVER (ORDER BY deliveries DESC ROWS UNBOUNDED PRECEDING) - COUNT(*) AS went_on
  FROM contracts
  GROUP BY deliveries
),
numbers AS (
  SELECT
    reached.deliveries,
    CAST(reached.cancelled + 10 * shop.hazard AS double) / NULLIF(reached.went_on + reached.cancelled + 10, 0) AS hazard
  FROM reached
  CROSS JOIN shop
),
media AS (
  SELECT
    contracts.media,
    CAST(SUM(contracts.cancelled) + 10 * MAX(shop.hazard) AS double)
      / NULLIF(SUM(contracts.deliveries - 1 + contracts.cancelled) + 10, 0) AS hazard
  FROM contracts
  CROSS JOIN shop
  GROUP BY contracts.media
),
leavers AS (
  SELECT DISTINCT customer_id
  FROM contracts
  WHERE cancelled = 1
),
running AS (
  SELECT
    contracts.customer_id,
    contracts.source,
    contracts.store,
    contracts.subscription_id,
    contracts.deliveries,
    contracts.next_delivery_on,
    CAST(DATE_ADD('day', -:cancel_cutoff_days, contracts.next_delivery_on) AS date) AS call_by_on,
    contracts.outcome,
    numbers.hazard,
    COALESCE(numbers.hazard >= 1.5 * shop.hazard AND shop.hazard > 0, FALSE) AS risky_delivery,
    COALESCE(media.hazard >= 1.5 * shop.hazard AND shop.hazard > 0, FALSE) AS risky_media,
    leavers.customer_id IS NOT NULL AS cancelled_before,
    COALESCE(CAST(media.hazard AS double) / NULLIF(shop.hazard, 0), 1) AS media_factor
  FROM contracts
  CROSS JOIN shop
  INNER JOIN numbers ON numbers.deliveries = contracts.deliveries
  INNER JOIN media ON media.media = contracts.media
  LEFT JOIN leavers ON leavers.customer_id = contracts.customer_id
  WHERE contracts.outcome IN ('undecided', 'held', 'paused')
),
scored AS (
  SELECT
    customer_id,
    source,
    store,
    subscription_id,
    deliveries,
    next_delivery_on,
    call_by_on,
    hazard,
    LEAST(
      1,
      COALESCE(hazard, 0.01) * media_factor
      * CASE outcome WHEN 'held' THEN 2 WHEN 'paused' THEN 1.5 ELSE 1 END
      * CASE WHEN cancelled_before THEN 1.5 ELSE 1 END
    ) AS score,
    FILTER(
      ARRAY[
        CASE WHEN outcome = 'held' THEN 'held' END,
        CASE WHEN outcome = 'paused' THEN 'paused' END,
        CASE WHEN risky_delivery THEN 'risky_delivery' END,
        CASE WHEN risky_media THEN 'risky_media' END,
        CASE WHEN cancelled_before THEN 'cancelled_before' END
      ],
      reason -> reason IS NOT NULL
    ) AS reasons
  FROM running
  WHERE call_by_on IS NULL
    OR call_by_on >= :as_of
    OR outcome = 'held'
),
placed AS (
  SELECT
    customer_id,
    source,
    store,
    subscription_id,
    deliveries,
    next_delivery_on,
    call_by_on,
    hazard,
    score,
    reasons,
    ROW_NUMBER() OVER (
      ORDER BY
        CASE WHEN :call_order = 'newest' THEN CAST(deliveries AS double) ELSE -score END,
        call_by_on,
        customer_id,
        source,
        store,
        subscription_id
    ) AS place
  FROM scored
)
SELECT
  customer_id,
  source,
  store,
  subscription_id,
  CAST(deliveries AS integer) AS delivery_number,
  next_delivery_on,
  call_by_on,
  CAST(hazard AS double) AS hazard,
  CAST(score AS double) AS score,
  reasons,
  CAST(place AS integer) AS place,
  place <= :call_capacity AS to_call
FROM placed
