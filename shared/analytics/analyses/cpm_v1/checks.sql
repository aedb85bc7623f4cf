#fail one_group_each: every buyer is in exactly one group
SELECT ABS(
  (SELECT COUNT(*) FROM cpm_v1 WHERE tenant = :tenant AND dt = :as_of)
  - (SELECT COUNT(DISTINCT customer_id) FROM buyers_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail tenure_is_possible: nobody's tenure is negative, and one order has none
SELECT COUNT(*) AS violations FROM cpm_v1
WHERE tenant = :tenant AND dt = :as_of AND (tenure_days < 0 OR (orders = 1 AND tenure_days > 0) OR active IS NULL)
#warn amount_of_this_currency: 70,000 are yen; a shop in another currency sets cpm_amount
SELECT CASE WHEN :currency <> 'JPY' AND :cpm_amount = 70000 THEN 1 ELSE 0 END AS violations
