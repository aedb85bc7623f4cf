#fail rate_is_a_share: nobody goes on who was not there
SELECT COUNT(*) AS violations FROM product_flow_v1 WHERE tenant = :tenant AND dt = :as_of AND customers > from_customers
#fail one_cell_each: a cell stands once
SELECT COUNT(*) AS violations FROM (
  SELECT from_order, from_product, to_product FROM product_flow_v1
  WHERE tenant = :tenant AND dt = :as_of GROUP BY from_order, from_product, to_product HAVING COUNT(*) > 1
) AS repeated
