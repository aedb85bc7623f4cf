#fail p_is_a_probability: a p value lies between 0 and 1, and nobody leaves who was not there
SELECT COUNT(*) AS violations FROM churn_causes_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (p_value < 0 OR p_value > 1 OR churned > customers OR other_churned > other_customers OR churned + stayed <> customers)
#warn small_groups: values with too few people to say anything
SELECT COUNT(CASE WHEN verdict = '少数' THEN 1 END) AS violations FROM churn_causes_v1 WHERE tenant = :tenant AND dt = :as_of
