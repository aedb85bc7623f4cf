-- Who came in by what (entries_v1), with the lists that LTV推移 and F2転換率 open of it at each horizon.
--> ltv_horizons.sql,
entry_lists AS (
  SELECT
    lists.counted,
    entries_v1.dimension,
    entries_v1.anchor,
    entries_v1.entry,
    CAST(horizons.days AS integer) AS within_days,
    entries_v1.customer_id
  FROM entries_v1
  CROSS JOIN horizons
  CROSS JOIN (VALUES 'customers', 'mature_customers', 'repeat_customers', 'one_timers') AS lists (counted)
  WHERE entries_v1.tenant = :tenant
    AND entries_v1.dt = :as_of
    AND (lists.counted = 'customers' OR DATE_DIFF('day', entries_v1.entered_on, :as_of) >= horizons.days)
    AND (lists.counted <> 'repeat_customers' OR entries_v1.next_day <= horizons.days)
    AND (lists.counted <> 'one_timers' OR COALESCE(entries_v1.next_day > horizons.days, TRUE))
)
