weeks AS (
  SELECT
    weeks_ago,
    CAST(DATE_ADD('day', -7 * (weeks_ago + 1), :as_of) AS date) AS before_on,
    CAST(DATE_ADD('day', -7 * weeks_ago, :as_of) AS date) AS end_on
  FROM UNNEST(SEQUENCE(0, :baseline_weeks)) AS series (weeks_ago)
),
orders AS (
  SELECT customer_id, ordered_on
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
),
entries AS (
  SELECT dimension, entry, customer_id
  FROM entries_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND anchor = 'first_order'
    AND dimension IN ('media', 'store', 'category')
),
-- 現役 on the day before the week, and whether they ordered in it.
active AS (
  SELECT
    weeks.weeks_ago,
    orders.customer_id,
    MAX(CASE WHEN orders.ordered_on > weeks.before_on THEN 1 ELSE 0 END) AS responded
  FROM weeks
  INNER JOIN orders ON orders.ordered_on <= weeks.end_on
  GROUP BY weeks.weeks_ago, weeks.before_on, orders.customer_id
  HAVING MAX(
    CASE
      WHEN orders.ordered_on <= weeks.before_on AND DATE_DIFF('day', orders.ordered_on, weeks.before_on) < :churn_days
        THEN 1
      ELSE 0
    END
  ) = 1
),
-- Three days to click in: the weeks of mails end three days earlier.
sends AS (
  SELECT
    messages.send_id,
    COALESCE(persons.customer_id, messages.customer_id) AS customer_id,
    messages.scenario,
    messages.channel,
    MIN(CASE WHEN event = 'sent' THEN occurred_on END) AS sent_on,
    MIN(CASE WHEN event = 'clicked' AND NOT machine THEN occurred_on END) AS clicked_on,
    MAX(CASE WHEN event IN ('bounced', 'rejected') THEN 1 ELSE 0 END) AS lost
  FROM messages
  LEFT JOIN (
--> ../../segments/sources/persons.sql
  ) AS persons
    ON persons.stored_id = messages.customer_id
  WHERE messages.tenant = :tenant
    AND messages.month <= :as_of_month
    AND messages.month >= SUBSTR(CAST(DATE_ADD('day', -7 * (:baseline_weeks + 1) - 3, :as_of) AS varchar), 1, 7)
    AND messages.occurred_on <= :as_of
    AND messages.received_at < :known_before
  GROUP BY
    messages.send_id,
    COALESCE(persons.customer_id, messages.customer_id),
    messages.scenario,
    messages.channel
),
clicks AS (
  SELECT
    weeks.weeks_ago,
    sends.scenario,
    sends.channel,
    sends.customer_id,
    MAX(
      CASE WHEN DATE_DIFF('day', sends.sent_on, sends.clicked_on) BETWEEN 0 AND 3 THEN 1 ELSE 0 END
    ) AS responded
  FROM sends
  INNER JOIN weeks
    ON DATE_DIFF('day', sends.sent_on, weeks.end_on) BETWEEN 3 AND 9
  WHERE sends.lost = 0
  GROUP BY weeks.weeks_ago, sends.scenario, sends.channel, sends.customer_id
),
members AS (
  SELECT 'order' AS metric, 'shop' AS dimension, '全体' AS segment, weeks_ago, customer_id, responded
  FROM active
  UNION ALL
  SELECT 'order' AS metric, entries.dimension, entries.entry AS segment, active.weeks_ago, active.customer_id, active.responded
  FROM active
  INNER JOIN entries ON entries.customer_id = active.customer_id
  UNION ALL
  SELECT 'click' AS metric, 'scenario' AS dimension, scenario AS segment, weeks_ago, customer_id, MAX(responded) AS responded
  FROM clicks
  GROUP BY scenario, weeks_ago, customer_id
  UNION ALL
  SELECT 'click' AS metric, 'channel' AS dimension, channel AS segment, weeks_ago, customer_id, MAX(responded) AS responded
  FROM clicks
  GROUP BY channel, weeks_ago, customer_id
)
