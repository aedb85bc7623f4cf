#fail four_ways: ordered, open and abandoned sum to the carts
SELECT COUNT(*) AS violations FROM cart_abandonment_v1
WHERE tenant = :tenant AND dt = :as_of AND ordered + still_open + left_in_cart + left_at_checkout <> carts
