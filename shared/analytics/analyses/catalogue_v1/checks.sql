#fail one_row_each: a product is one row, and there are no more than the sender reads
SELECT COUNT(*) - COUNT(DISTINCT product_id) + CASE WHEN COUNT(*) > 5000 THEN 1 ELSE 0 END AS violations
FROM catalogue_v1
WHERE tenant = :tenant AND dt = :as_of
#fail companions_have_rates: every companion has its share, no more than all buyers
SELECT COUNT(*) AS violations FROM catalogue_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (CARDINALITY(companions) <> CARDINALITY(rates) OR ELEMENT_AT(rates, 1) > 10000)
#warn without_page: products on sale that a mail cannot link to
SELECT COUNT(CASE WHEN sold AND url IS NULL THEN 1 END) AS violations
FROM catalogue_v1
WHERE tenant = :tenant AND dt = :as_of
