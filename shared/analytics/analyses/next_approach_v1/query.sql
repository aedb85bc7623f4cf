-- 次に打つべきアプローチ (C15): each status has its scenario. What may be expected is what happened so far within 14 days of
-- a send (効果測定, definitions.md §11): 参考値, because nobody was held out of it here.
WITH approaches AS (
  SELECT status, scenario, approach
  FROM (
    VALUES
      ('dormant', 'dormant_winback', '休眠復活: 特典つきのお知らせ'),
      ('at_risk', 'at_risk_care', '早期介入: 周期を過ぎた方への限定特典'),
      ('loyal', 'vip_offer', '優良顧客: 先行案内・限定オファー'),
      ('new', 'f2_conversion', 'F2転換: 使い方・2回目のご案内'),
      ('promising', 'cycle_reminder', '購入周期に合わせたご案内')
  ) AS known (status, scenario, approach)
),
people AS (
  SELECT status, COUNT(*) AS customers, SUM(orders) AS orders, SUM(amount) AS amount
  FROM status_v1
  WHERE tenant = :tenant
    AND dt = :as_of
  GROUP BY status
),
sent AS (
  SELECT
    COALESCE(persons.customer_id, messages.customer_id) AS customer_id,
    messages.scenario,
    MIN(messages.occurred_on) AS sent_on
  FROM messages
  LEFT JOIN (
--> ../../segments/sources/persons.sql
  ) AS persons
    ON persons.stored_id = messages.customer_id
  WHERE messages.tenant = :tenant
    AND messages.month <= :as_of_month
    AND messages.occurred_on <= CAST(DATE_ADD('day', -14, :as_of) AS date)
    AND messages.received_at < :known_before
    AND messages.event = 'sent'
  GROUP BY COALESCE(persons.customer_id, messages.customer_id), messages.scenario
),
buyers AS (
  SELECT customer_id, purchase_days
  FROM buyers_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
answered AS (
  SELECT DISTINCT sent.customer_id, sent.scenario
  FROM sent
  INNER JOIN buyers ON buyers.customer_id = sent.customer_id
  CROSS JOIN UNNEST(buyers.purchase_days) AS purchases (day)
  WHERE purchases.day - DATE_DIFF('day', DATE '1970-01-01', sent.sent_on) BETWEEN 0 AND 13
),
responses AS (
  SELECT sent.scenario, COUNT(*) AS sends, COUNT(answered.customer_id) AS responders
  FROM sent
  LEFT JOIN answered ON answered.customer_id = sent.customer_id AND answered.scenario = sent.scenario
  GROUP BY sent.scenario
)
SELECT
  approaches.status,
  CAST(COALESCE(people.customers, 0) AS bigint) AS customers,
  approaches.scenario,
  approaches.approach,
  CAST(COALESCE(responses.sends, 0) AS bigint) AS sends,
  CAST(COALESCE(responses.responders, 0) AS bigint) AS responders,
  CAST(responses.responders AS double) / NULLIF(responses.sends, 0) AS response_rate,
  CAST(COALESCE(people.customers, 0) * responses.responders AS double) / NULLIF(responses.sends, 0) AS expected_buyers,
  CAST(people.amount AS double) / NULLIF(people.orders, 0) AS mean_order_amount,
  CASE WHEN responses.sends > 0 THEN '参考値' ELSE '未計測' END AS note
FROM approaches
LEFT JOIN people ON people.status = approaches.status
LEFT JOIN responses ON responses.scenario = approaches.scenario
