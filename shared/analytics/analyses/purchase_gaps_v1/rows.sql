occasions AS (
  SELECT
    customer_id,
    ordered_on,
    ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY ordered_on) AS number,
    LEAD(ordered_on) OVER (PARTITION BY customer_id ORDER BY ordered_on) AS next_on
  FROM orders_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY customer_id, ordered_on
)
