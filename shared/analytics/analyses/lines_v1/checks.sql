#fail of_valid_orders: every product belongs to a valid order
SELECT COUNT(*) AS violations
FROM (SELECT customer_id, order_id FROM lines_v1 WHERE tenant = :tenant AND dt = :as_of) AS bought
LEFT JOIN (SELECT customer_id, order_id FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of) AS valid_orders
  ON valid_orders.customer_id = bought.customer_id AND valid_orders.order_id = bought.order_id
WHERE valid_orders.order_id IS NULL
#fail numbered_in_order: an order of a product is no earlier than the person's first of anything
SELECT COUNT(*) AS violations FROM lines_v1
WHERE tenant = :tenant AND dt = :as_of AND (product_number > number OR number > orders OR ordered_on < first_on)
#warn without_lines: valid orders of which no product is known
SELECT COUNT(CASE WHEN COALESCE(line_count, 0) = 0 THEN 1 END) AS violations
FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of
