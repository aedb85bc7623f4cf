#fail every_order_once: every order of a product is in one class
SELECT ABS(
  (SELECT COALESCE(SUM(orders), 0) FROM product_new_repeat_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(*) FROM lines_v1 WHERE tenant = :tenant AND dt = :as_of
      AND ordered_on > CAST(DATE_ADD('day', -:period_days, :as_of) AS date))
) AS violations
