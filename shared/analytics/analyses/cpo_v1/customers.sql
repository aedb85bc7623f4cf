WITH costs_told AS (
  SELECT
    media,
    spent_on,
    amount,
    currency,
    removed,
    ROW_NUMBER() OVER (PARTITION BY media, spent_on ORDER BY written_at DESC, amount DESC) AS newest
  FROM media_costs
  WHERE tenant = :tenant
    AND month <= :as_of_month
    AND spent_on <= :as_of
    AND written_at < :known_before
),
costs AS (
  SELECT media, CAST(DATE_TRUNC('month', spent_on) AS date) AS month_start, SUM(amount) AS cost
  FROM costs_told
  WHERE newest = 1
    AND NOT removed
    AND currency = :currency
  GROUP BY media, CAST(DATE_TRUNC('month', spent_on) AS date)
),
firsts AS (
  SELECT customer_id, media, CAST(DATE_TRUNC('month', first_on) AS date) AS month_start
  FROM purchases_v1
  WHERE tenant = :tenant AND dt = :as_of AND number = 1 AND counted = 1
)
SELECT 'first_orders' AS counted, media, SUBSTR(CAST(month_start AS varchar), 1, 7) AS cost_month, customer_id
FROM firsts
UNION ALL
SELECT 'first_orders' AS counted, firsts.media, '全期間' AS cost_month, firsts.customer_id
FROM firsts
INNER JOIN costs ON costs.media = firsts.media AND costs.month_start = firsts.month_start
