-- カゴ落ち診断 (B19): what became of the carts of the last period_days, by step, store, price and product. A cart is one by its
-- cart token over cart and checkout events; an order with its token, or a completed checkout, is its end. The device is
-- not told by any cart and therefore not shown.
WITH
--> rows.sql,
counts AS (
  SELECT
    dimension,
    box,
    MIN(label) AS label,
    COUNT(*) AS carts,
    SUM(CASE WHEN checked_out = 1 OR outcome = 'ordered' THEN 1 ELSE 0 END) AS checkouts,
    SUM(CASE WHEN outcome = 'ordered' THEN 1 ELSE 0 END) AS ordered,
    SUM(CASE WHEN outcome = 'still_open' THEN 1 ELSE 0 END) AS still_open,
    SUM(CASE WHEN outcome = 'left_in_cart' THEN 1 ELSE 0 END) AS left_in_cart,
    SUM(CASE WHEN outcome = 'left_at_checkout' THEN 1 ELSE 0 END) AS left_at_checkout,
    SUM(CASE WHEN outcome IN ('left_in_cart', 'left_at_checkout') THEN total ELSE 0 END) AS abandoned_amount
  FROM boxes
  GROUP BY dimension, box
),
known AS (
  SELECT boxes.dimension, boxes.box, COUNT(DISTINCT people.customer_id) AS customers
  FROM boxes
  INNER JOIN people ON people.source = boxes.source AND people.store = boxes.store AND people.cart = boxes.cart
  WHERE boxes.outcome IN ('left_in_cart', 'left_at_checkout')
  GROUP BY boxes.dimension, boxes.box
)
SELECT
  counts.dimension,
  counts.box,
  counts.label,
  CAST(counts.carts AS bigint) AS carts,
  CAST(counts.checkouts AS bigint) AS checkouts,
  CAST(counts.ordered AS bigint) AS ordered,
  CAST(counts.still_open AS bigint) AS still_open,
  CAST(counts.left_in_cart AS bigint) AS left_in_cart,
  CAST(counts.left_at_checkout AS bigint) AS left_at_checkout,
  CAST(counts.abandoned_amount AS bigint) AS abandoned_amount,
  CAST(COALESCE(known.customers, 0) AS bigint) AS abandoned_customers,
  CAST(counts.left_in_cart + counts.left_at_checkout AS double)
    / NULLIF(counts.carts - counts.still_open, 0) AS abandon_rate,
  CAST(counts.left_in_cart AS double) / NULLIF(counts.carts - counts.still_open, 0) AS cart_leave_rate,
  CAST(counts.left_at_checkout AS double) / NULLIF(counts.left_at_checkout + counts.ordered, 0) AS checkout_leave_rate
FROM counts
LEFT JOIN known ON known.dimension = counts.dimension AND known.box = counts.box
