#fail no_more_used_than_loaded: a code is used at most as often as there are codes, and reused ones are used
SELECT COUNT(*) AS violations FROM coupons_v1
WHERE tenant = :tenant AND dt = :as_of AND (used > codes OR reused > used OR customers > orders)
#warn passed_on: codes that more than one person used
SELECT COUNT(CASE WHEN reused > 0 THEN 1 END) AS violations
FROM coupons_v1
WHERE tenant = :tenant AND dt = :as_of
