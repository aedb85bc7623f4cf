--> ../base_products.sql,
-- People whose first order is at most 24 months old; of each order with a base product, what else was in it.
together AS (
  SELECT DISTINCT
    bases.base,
    held.number,
    held.customer_id,
    held.source,
    held.store,
    held.order_id
  FROM bases
  INNER JOIN bought AS held ON held.product_id = bases.product_id
  WHERE held.first_on > CAST(DATE_ADD('month', -24, :as_of) AS date)
    AND held.number <= :followed_orders
),
pairs AS (
  SELECT DISTINCT together.base, together.number, together.customer_id, bought.product_id
  FROM together
  INNER JOIN bought
    ON bought.customer_id = together.customer_id
    AND bought.source = together.source
    AND bought.store = together.store
    AND bought.order_id = together.order_id
  LEFT JOIN bases ON bases.base = together.base AND bases.product_id = bought.product_id
  WHERE bases.product_id IS NULL
),
ranked AS (
  SELECT
    base,
    number,
    product_id,
    COUNT(*) AS customers,
    ROW_NUMBER() OVER (PARTITION BY base, number ORDER BY COUNT(*) DESC, product_id) AS place
  FROM pairs
  GROUP BY base, number, product_id
)
