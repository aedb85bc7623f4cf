#fail one_row_per_person: everybody is compared once
SELECT COUNT(*) - COUNT(DISTINCT customer_id) AS violations FROM rfm_dates_v1 WHERE tenant = :tenant AND dt = :as_of
#fail somewhere_at_least: nobody was nowhere on both dates
SELECT COUNT(*) AS violations FROM rfm_dates_v1
WHERE tenant = :tenant AND dt = :as_of AND from_r IS NULL AND to_r IS NULL
