#fail once_each: an order counts once
SELECT COUNT(*) AS violations FROM (
  SELECT order_id FROM valid_orders_v1 WHERE tenant = :tenant AND dt = :as_of
  GROUP BY customer_id, source, store, order_id HAVING COUNT(*) > 1
) AS repeated
#fail by_the_day: no order after the as-of day
SELECT COUNT(*) AS violations FROM valid_orders_v1
WHERE tenant = :tenant AND dt = :as_of AND (ordered_on > :as_of OR amount < 0)
