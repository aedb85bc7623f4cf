-- LTV推移 (definitions.md §3) by what people came in by: first product, category, media, store, and week of the first
-- order. Day 0 is the first order, or (指定商品初回購入日) the first order of that product, category or media, whichever
-- order of the person it is. Maturity and blanks as in ltv_cohorts_v1.
WITH
--> ../ltv_horizons.sql,
entries AS (
  SELECT customer_id, dimension, anchor, entry, label, entered_on, entered_number, next_day
  FROM entries_v1
  WHERE tenant = :tenant AND dt = :as_of
),
orders AS (
  SELECT customer_id, number, counted, ordered_on, amount
  FROM purchases_v1
  WHERE tenant = :tenant AND dt = :as_of
),
-- Per entry and day 0, on which day after it what was bought: small, whatever the number of people.
people AS (
  SELECT
    dimension, anchor, entry, entered_on, next_day,
    COUNT(*) AS customers,
    MIN(label) AS label
  FROM entries
  GROUP BY dimension, anchor, entry, entered_on, next_day
),
sizes AS (
  SELECT
    people.dimension,
    people.anchor,
    people.entry,
    horizons.days,
    MIN(people.label) AS label,
    SUM(people.customers) AS customers,
    SUM(CASE WHEN DATE_DIFF('day', people.entered_on, :as_of) >= horizons.days THEN people.customers ELSE 0 END) AS mature,
    SUM(
      CASE
        WHEN DATE_DIFF('day', people.entered_on, :as_of) >= horizons.days AND people.next_day <= horizons.days
          THEN people.customers
        ELSE 0
      END
    ) AS repeaters
  FROM people
  CROSS JOIN horizons
  GROUP BY people.dimension, people.anchor, people.entry, horizons.days
),
bought AS (
  SELECT
    entries.dimension,
    entries.anchor,
    entries.entry,
    entries.entered_on,
    DATE_DIFF('day', entries.entered_on, orders.ordered_on) AS day,
    SUM(orders.counted) AS orders,
    COUNT(orders.amount) AS priced_orders,
    COALESCE(SUM(orders.amount), 0) AS amount
  FROM entries
  INNER JOIN orders ON orders.customer_id = entries.customer_id AND orders.number >= entries.entered_number
  GROUP BY
    entries.dimension,
    entries.anchor,
    entries.entry,
    entries.entered_on,
    DATE_DIFF('day', entries.entered_on, orders.ordered_on)
),
sums AS (
  SELECT
    bought.dimension,
    bought.anchor,
    bought.entry,
    horizons.days,
    SUM(bought.orders) AS orders,
    SUM(bought.priced_orders) AS priced_orders,
    SUM(bought.amount) AS amount
  FROM bought
  INNER JOIN horizons
    ON bought.day <= horizons.days
    AND DATE_DIFF('day', bought.entered_on, :as_of) >= horizons.days
  GROUP BY bought.dimension, bought.anchor, bought.entry, horizons.days
)
SELECT
  sizes.dimension,
  sizes.anchor,
  sizes.entry,
  sizes.label,
  CAST(sizes.days AS integer) AS within_days,
  sizes.days = :ltv_days AS chosen,
  CAST(sizes.customers AS bigint) AS customers,
  CAST(sizes.mature AS bigint) AS mature_customers,
  sizes.mature = sizes.customers AS complete,
  CAST(sums.amount AS bigint) AS amount,
  CAST(sums.orders AS bigint) AS orders,
  CAST(sums.priced_orders AS bigint) AS priced_orders,
  CAST(CASE WHEN sizes.mature > 0 THEN sizes.repeaters END AS bigint) AS repeat_customers,
  CAST(sums.amount AS double) / NULLIF(sizes.mature, 0) AS ltv,
  CAST(sizes.repeaters AS double) / NULLIF(sizes.mature, 0) AS repeat_rate,
  CAST(sums.amount AS double) / NULLIF(sums.priced_orders, 0) AS average_order_amount
FROM sizes
LEFT JOIN sums
  ON sums.dimension = sizes.dimension
  AND sums.anchor = sizes.anchor
  AND sums.entry = sizes.entry
  AND sums.days = sizes.days
