#fail numbered_without_gaps: a person's orders are numbered 1, 2, 3 …
SELECT COUNT(*) AS violations FROM (
  SELECT MAX(number) AS last_number, MIN(number) AS first_number, SUM(counted) AS numbered, MAX(orders) AS orders
  FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of GROUP BY customer_id
) AS people
WHERE first_number <> 1 OR last_number <> numbered OR orders <> numbered
#fail dates_in_order: no order before the first, after the next or after the as-of day
SELECT COUNT(*) AS violations FROM purchases_v1
WHERE tenant = :tenant AND dt = :as_of AND (day < 0 OR ordered_on > :as_of OR next_on < ordered_on)
#warn no_amount: orders without an amount by amount_basis are in no LTV
SELECT COUNT(CASE WHEN amount IS NULL THEN 1 END) AS violations FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of
