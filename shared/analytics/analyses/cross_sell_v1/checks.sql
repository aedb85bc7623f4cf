#fail rate_is_a_share: nobody also bought who did not buy the base, and the same order only adds people
SELECT COUNT(*) AS violations FROM (
  SELECT
    MAX(CASE WHEN same_order THEN customers END) AS with_same,
    MAX(CASE WHEN NOT same_order THEN customers END) AS without_same,
    MAX(base_customers) AS base_customers,
    MAX(product_customers) AS product_customers
  FROM cross_sell_v1 WHERE tenant = :tenant AND dt = :as_of GROUP BY base, product_id
) AS pairs
WHERE without_same > with_same OR with_same > base_customers OR with_same > product_customers
#warn small_base: a share of fewer than 30 people is a guess
SELECT COUNT(DISTINCT CASE WHEN base_customers < 30 THEN base END) AS violations
FROM cross_sell_v1 WHERE tenant = :tenant AND dt = :as_of
