-- CPO and the decision (definitions.md §4): 採用 if the measured LTV of the people a medium won exceeds what winning them
-- cost, equality is 不採用. By the month of the first order; a month counts as over when its last day is ltv_days old.
-- CPO is the cost of an order won, not 受注単価 (AOV).
WITH
--> ../media_costs.sql,
bought AS (
  SELECT
    firsts.media,
    CAST(DATE_TRUNC('month', orders.first_on) AS date) AS month_start,
    orders.day,
    SUM(CASE WHEN orders.number = 1 THEN orders.counted ELSE 0 END) AS first_orders,
    COALESCE(SUM(orders.amount), 0) AS amount
  FROM purchases_v1 AS orders
  INNER JOIN (
    SELECT customer_id, media
    FROM purchases_v1
    WHERE tenant = :tenant AND dt = :as_of AND number = 1 AND counted = 1
  ) AS firsts ON firsts.customer_id = orders.customer_id
  WHERE orders.tenant = :tenant
    AND orders.dt = :as_of
  GROUP BY firsts.media, CAST(DATE_TRUNC('month', orders.first_on) AS date), orders.day
),
won AS (
  SELECT media, month_start, SUM(first_orders) AS first_orders
  FROM bought
  GROUP BY media, month_start
),
months AS (
  SELECT
    COALESCE(won.media, costs.media) AS media,
    COALESCE(won.month_start, costs.month_start) AS month_start,
    costs.cost,
    COALESCE(won.first_orders, 0) AS first_orders
  FROM won
  FULL OUTER JOIN costs ON costs.media = won.media AND costs.month_start = won.month_start
),
periods AS (
  SELECT
    media,
    month_start,
    SUBSTR(CAST(month_start AS varchar), 1, 7) AS cost_month,
    cost,
    first_orders
  FROM months
  UNION ALL
  SELECT media, month_start, '全期間' AS cost_month, cost, first_orders
  FROM months
  WHERE cost IS NOT NULL
),
totals AS (
  SELECT
    media,
    cost_month,
    SUM(cost) AS cost,
    SUM(first_orders) AS first_orders,
    -- Days since the last of its people came: nobody of the period is younger.
    DATE_DIFF('day', CAST(DATE_ADD('day', -1, DATE_ADD('month', 1, MAX(month_start))) AS date), :as_of) AS age
  FROM periods
  GROUP BY media, cost_month
),
daily AS (
  SELECT periods.media, periods.cost_month, bought.day, SUM(bought.amount) AS amount
  FROM periods
  INNER JOIN bought ON bought.media = periods.media AND bought.month_start = periods.month_start
  GROUP BY periods.media, periods.cost_month, bought.day
),
running AS (
  SELECT
    media,
    cost_month,
    day,
    SUM(amount) OVER (PARTITION BY media, cost_month ORDER BY day ROWS UNBOUNDED PRECEDING) AS so_far
  FROM daily
),
measured AS (
  SELECT
    totals.media,
    totals.cost_month,
    totals.cost,
    totals.first_orders,
    totals.age >= :ltv_days AS mature,
    MAX(CASE WHEN running.day <= :ltv_days THEN running.so_far END) AS amount,
    MIN(CASE WHEN running.day <= totals.age AND running.so_far >= totals.cost THEN running.day END) AS payback_day
  FROM totals
  LEFT JOIN running ON running.media = totals.media AND running.cost_month = totals.cost_month
  GROUP BY totals.media, totals.cost_month, totals.cost, totals.first_orders, totals.age
)
SELECT
  media,
  cost_month,
  :as_of AS compared_on,
  'cohort_n_day' AS ltv_variant,
  CAST(:ltv_days AS integer) AS within_days,
  :amount_basis AS basis,
  CAST(cost AS bigint) AS cost,
  CAST(first_orders AS bigint) AS first_orders,
  CAST(CASE WHEN mature AND first_orders > 0 THEN amount END AS bigint) AS amount,
  CAST(cost AS double) / NULLIF(first_orders, 0) AS cpo,
  CASE WHEN mature THEN CAST(amount AS double) / NULLIF(first_orders, 0) END AS ltv,
  CAST(CASE WHEN mature THEN COALESCE(amount, 0) - cost END AS bigint) AS profit,
  CAST(CASE WHEN first_orders > 0 THEN payback_day END AS integer) AS payback_day,
  CASE
    WHEN cost IS NULL OR first_orders = 0 THEN ''
    WHEN payback_day IS NULL THEN '未回収'
    ELSE '回収'
  END AS payback,
  CASE
    WHEN cost IS NULL THEN '費用不明'
    WHEN first_orders = 0 THEN '判定不可'
    WHEN NOT mature THEN '未到達'
    -- Both are per person of the same people, so the sums decide exactly.
    WHEN amount > cost THEN '採用'
    ELSE '不採用'
  END AS verdict
FROM measured
