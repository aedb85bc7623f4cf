-- Contracts (定期契約) in the state that held on the as-of day, as contracts_v1 chooses it; estimates are left out.
SELECT
  customer_id,
  store,
  state,
  product_ids,
  deliveries,
  next_delivery_on,
  started_on,
  cancelled_on,
  cancel_reason
FROM (
--> ../../analyses/contract_states.sql
) AS states
WHERE held = 1
  AND NOT gone
  AND NOT estimated
