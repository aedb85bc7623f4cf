WITH
--> rows.sql
SELECT 'abandoned_customers' AS counted, boxes.dimension, boxes.box, people.customer_id
FROM boxes
INNER JOIN people ON people.source = boxes.source AND people.store = boxes.store AND people.cart = boxes.cart
WHERE boxes.outcome IN ('left_in_cart', 'left_at_checkout')
