#fail everybody_won_once: months sum to all buyers
SELECT ABS(
  (SELECT COALESCE(SUM(first_orders), 0) FROM cpo_v1 WHERE tenant = :tenant AND dt = :as_of AND cost_month <> '全期間')
  - (SELECT COUNT(DISTINCT customer_id) FROM purchases_v1 WHERE tenant = :tenant AND dt = :as_of)
) AS violations
#fail decision_follows_the_rule: 採用 only if LTV > CPO
SELECT COUNT(*) AS violations FROM cpo_v1
WHERE tenant = :tenant AND dt = :as_of
  AND ((verdict = '採用' AND NOT COALESCE(amount > cost, FALSE)) OR (verdict = '不採用' AND amount > cost))
#warn basis_is_turnover: LTV of 受注金額 is no profit; set margin_percent and amount_basis gross_margin
SELECT CASE WHEN :amount_basis = 'gross_margin' THEN 0 ELSE 1 END AS violations
#warn cost_not_told: media without a cost
SELECT COUNT(DISTINCT CASE WHEN verdict = '費用不明' THEN media END) AS violations FROM cpo_v1 WHERE tenant = :tenant AND dt = :as_of
