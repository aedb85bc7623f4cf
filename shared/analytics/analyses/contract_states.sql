  -- Contracts (定期契約) by the as-of day: `held` = 1 is the state that held then, chosen as valid_orders_v1 chooses an order's.
  SELECT
    COALESCE(persons.customer_id, kept.customer_id) AS customer_id,
    source,
    store,
    subscription_id,
    state,
    product_id,
    product_ids,
    deliveries,
    next_delivery_on,
    started_on,
    cancelled_on,
    cancel_reason,
    media,
    COALESCE(estimated, FALSE) AS estimated,
    changed_on,
    FIRST_VALUE(removed) OVER (
      PARTITION BY COALESCE(persons.customer_id, kept.customer_id), source, store, subscription_id
      ORDER BY written_at DESC, sequence DESC
    ) AS gone,
    ROW_NUMBER() OVER (
      PARTITION BY COALESCE(persons.customer_id, kept.customer_id), source, store, subscription_id
      ORDER BY
        CASE WHEN removed THEN 2 WHEN changed_on <= :as_of THEN 0 ELSE 1 END,
        CASE WHEN changed_on <= :as_of THEN written_at END DESC NULLS LAST,
        CASE WHEN changed_on <= :as_of THEN sequence END DESC NULLS LAST,
        written_at,
        sequence
    ) AS held
  FROM subscription_states AS kept
  LEFT JOIN (
--> ../segments/sources/persons.sql
  ) AS persons
    ON persons.stored_id = kept.customer_id
  WHERE kept.tenant = :tenant
    AND kept.month >= '1990-01'
    AND kept.written_at < :known_before
