-- What each medium cost, by month: of what was told of a day the newest counts.
costs_told AS (
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
)
