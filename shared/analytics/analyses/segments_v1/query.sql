-- Segment membership (セグメント): every status, RFM rank and LTV tier is a segment with its list of people.
SELECT 'status:' || status AS segment, customer_id
FROM customer_scores_v1
WHERE tenant = :tenant AND dt = :as_of
UNION ALL
SELECT 'rfm:' || rfm_rank AS segment, customer_id
FROM customer_scores_v1
WHERE tenant = :tenant AND dt = :as_of
UNION ALL
SELECT 'ltv:' || ltv_tier AS segment, customer_id
FROM customer_scores_v1
WHERE tenant = :tenant AND dt = :as_of
