WITH
--> rows.sql
SELECT 'reached' AS counted, boxes.dimension, boxes.box, CAST(series.n AS integer) AS delivery_number, boxes.customer_id
FROM boxes
CROSS JOIN UNNEST(SEQUENCE(1, :followed_orders)) AS series (n)
WHERE boxes.deliveries >= series.n
UNION ALL
SELECT
  CASE WHEN boxes.deliveries > series.n THEN 'continued' ELSE boxes.outcome END AS counted,
  boxes.dimension,
  boxes.box,
  CAST(series.n AS integer) AS delivery_number,
  boxes.customer_id
FROM boxes
CROSS JOIN UNNEST(SEQUENCE(1, :followed_orders)) AS series (n)
WHERE boxes.deliveries >= series.n
