-- What was known about each person on the day: purchases, scores, attributes and consent, without anything personal.
-- Of attributes and consent the newest saying by the day counts.
WITH told AS (
--> ../../segments/sources/attributes.sql
),
attributes AS (
  SELECT
    customer_id,
    ARRAY_SORT(ARRAY_AGG(name || '=' || COALESCE(value, ARRAY_JOIN(choices, '|'), ''))) AS attributes
  FROM told
  GROUP BY customer_id
),
agreed AS (
--> ../../segments/sources/consents.sql
),
consents AS (
  SELECT
    customer_id,
    ARRAY_SORT(ARRAY_AGG(channel || '@' || store || '=' || status)) AS consents
  FROM agreed
  GROUP BY customer_id
),
said AS (
  SELECT
    COALESCE(attributes.customer_id, consents.customer_id) AS customer_id,
    attributes.attributes,
    consents.consents
  FROM attributes
  FULL OUTER JOIN consents ON consents.customer_id = attributes.customer_id
),
bought AS (
  SELECT customer_id, orders, amount, first_on, last_on
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
scored AS (
  SELECT customer_id, status, status_since, ltv_tier, rfm_r, rfm_f, rfm_m, rfm_rank
  FROM customer_scores_v1
  WHERE tenant = :tenant
    AND dt = :as_of
)
SELECT
  COALESCE(bought.customer_id, said.customer_id) AS customer_id,
  COALESCE(bought.orders, 0) AS orders,
  COALESCE(bought.amount, 0) AS amount,
  bought.first_on,
  bought.last_on,
  scored.status,
  scored.status_since,
  scored.ltv_tier,
  scored.rfm_r,
  scored.rfm_f,
  scored.rfm_m,
  scored.rfm_rank,
  said.attributes,
  said.consents
FROM bought
LEFT JOIN scored ON scored.customer_id = bought.customer_id
FULL OUTER JOIN said ON said.customer_id = bought.customer_id
