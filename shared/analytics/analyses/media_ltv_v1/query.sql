-- 広告LTV (definitions.md §5): a medium's people by the month they were new to it, cumulative amount after 10, 20 … 999 days.
-- A month is counted once its last day is so old, so every person in a cell had the time; a cost without orders is kept.
WITH
--> ../media_costs.sql,
--> rows.sql,
bought AS (
  SELECT
    variant,
    media,
    CAST(DATE_TRUNC('month', entered_on) AS date) AS month_start,
    DATE_DIFF('day', entered_on, ordered_on) AS day,
    COUNT(DISTINCT CASE WHEN ordered_on = entered_on THEN customer_id END) AS new_customers,
    SUM(counted) AS orders,
    COALESCE(SUM(amount), 0) AS amount
  FROM paths
  GROUP BY variant, media, CAST(DATE_TRUNC('month', entered_on) AS date), DATE_DIFF('day', entered_on, ordered_on)
),
cells AS (
  SELECT
    bought.variant,
    bought.media,
    bought.month_start,
    horizons.days,
    SUM(bought.new_customers) AS new_customers,
    SUM(CASE WHEN bought.day <= horizons.days THEN bought.orders ELSE 0 END) AS orders,
    SUM(CASE WHEN bought.day <= horizons.days THEN bought.amount ELSE 0 END) AS amount
  FROM bought
  CROSS JOIN horizons
  WHERE DATE_DIFF('day', CAST(DATE_ADD('day', -1, DATE_ADD('month', 1, bought.month_start)) AS date), :as_of) >= horizons.days
  GROUP BY bought.variant, bought.media, bought.month_start, horizons.days
),
costed AS (
  SELECT variants.variant, costs.media, costs.month_start, horizons.days, costs.cost
  FROM costs
  CROSS JOIN horizons
  CROSS JOIN (VALUES 'first_medium', 'each_medium') AS variants (variant)
  WHERE DATE_DIFF('day', CAST(DATE_ADD('day', -1, DATE_ADD('month', 1, costs.month_start)) AS date), :as_of) >= horizons.days
),
joined AS (
  SELECT
    COALESCE(cells.variant, costed.variant) AS variant,
    COALESCE(cells.media, costed.media) AS media,
    COALESCE(cells.days, costed.days) AS days,
    COALESCE(cells.new_customers, 0) AS new_customers,
    COALESCE(cells.orders, 0) AS orders,
    COALESCE(cells.amount, 0) AS amount,
    costed.cost
  FROM cells
  FULL OUTER JOIN costed
    ON costed.variant = cells.variant
    AND costed.media = cells.media
    AND costed.month_start = cells.month_start
    AND costed.days = cells.days
),
sums AS (
  SELECT
    variant,
    media,
    days,
    COUNT(*) AS months,
    SUM(new_customers) AS new_customers,
    SUM(orders) AS orders,
    SUM(amount) AS amount,
    SUM(cost) AS cost,
    SUM(CASE WHEN cost IS NOT NULL THEN amount END) AS costed_amount
  FROM joined
  GROUP BY variant, media, days
)
SELECT
  variant,
  media,
  CAST(days AS integer) AS within_days,
  CAST(months AS bigint) AS months,
  CAST(new_customers AS bigint) AS new_customers,
  CAST(orders AS bigint) AS orders,
  CAST(amount AS bigint) AS amount,
  CAST(cost AS bigint) AS cost,
  CAST(costed_amount AS bigint) AS costed_amount,
  CAST(amount AS double) / NULLIF(new_customers, 0) AS ltv,
  CAST(costed_amount AS double) / NULLIF(cost, 0) AS roas,
  CAST(costed_amount - cost AS double) / NULLIF(cost, 0) AS roi,
  :amount_basis AS basis
FROM sums
