#fail media_of_the_first_order_sum: 定期 counts everybody once
SELECT COUNT(*) AS violations FROM (
  SELECT within_days, SUM(new_customers) AS people FROM media_ltv_v1
  WHERE tenant = :tenant AND dt = :as_of AND variant = 'first_medium' GROUP BY within_days
) AS sums
WHERE people > (SELECT COUNT(DISTINCT customer_id) FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of)
#warn basis_is_turnover: ROI of 受注金額 is no profit; set margin_percent and amount_basis gross_margin
SELECT CASE WHEN :amount_basis = 'gross_margin' THEN 0 ELSE 1 END AS violations
