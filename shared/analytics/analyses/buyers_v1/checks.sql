#fail one_row_per_person: everybody is counted once
SELECT COUNT(*) - COUNT(DISTINCT customer_id) AS violations FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of
#fail dates_in_order: nobody bought before their first or after the as-of day
SELECT COUNT(*) AS violations FROM buyers_v1
WHERE tenant = :tenant AND dt = :as_of AND (first_on > last_on OR recency_days < 0 OR orders < 1 OR amount < 0)
#warn foreign_currency: orders in another currency than the shop's are in no amount
SELECT COUNT(CASE WHEN foreign_orders > 0 THEN 1 END) AS violations FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of
