#fail one_row_each: a person and product are one row
SELECT COUNT(*) AS violations FROM (
  SELECT customer_id, product_id
  FROM item_due_v1
  WHERE tenant = :tenant AND dt = :as_of
  GROUP BY customer_id, product_id
  HAVING COUNT(*) > 1
) AS repeated
#fail due_after_the_last: a due day comes after the last purchase
SELECT COUNT(*) AS violations FROM item_due_v1
WHERE tenant = :tenant AND dt = :as_of AND (due_on < last_on OR last_on > :as_of)
