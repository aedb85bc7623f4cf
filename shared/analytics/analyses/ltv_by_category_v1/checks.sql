#fail immature_is_blank: no LTV without mature people, and one with them
SELECT COUNT(*) AS violations FROM ltv_by_category_v1
WHERE tenant = :tenant AND dt = :as_of AND (mature_customers = 0) <> (ltv IS NULL)
#warn not_known: people of whom the category is not known
SELECT COALESCE(SUM(customers), 0) AS violations FROM ltv_by_category_v1
WHERE tenant = :tenant AND dt = :as_of AND category = '不明' AND anchor = 'first_order' AND chosen
