#fail p_is_a_probability: a p value lies between 0 and 1
SELECT COUNT(*) AS violations FROM category_drop_v1
WHERE tenant = :tenant AND dt = :as_of AND (p_value < 0 OR p_value > 1 OR missing_customers > baseline_customers)
#warn sales_fell: a category sells less than chance explains
SELECT COUNT(CASE WHEN verdict = '低下' THEN 1 END) AS violations FROM category_drop_v1 WHERE tenant = :tenant AND dt = :as_of
