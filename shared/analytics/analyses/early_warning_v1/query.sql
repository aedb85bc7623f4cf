-- 早期警戒 (C14, definitions.md §14): a segment's response of the last seven days against its own baseline_weeks, one-sided
-- two-proportion z test. Opens decide nothing (machines open), so a mail's response is a click; the other is an order by
-- somebody active. Weeks have the same weekdays. Fewer than minimum_people, than four weeks, or than five responses
-- expected: 判定不可. The probability is the Chebyshev fit of erfc (error below 1.2e-7).
WITH weeks AS (
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
    send_id,
    customer_id,
    scenario,
    channel,
    MIN(CASE WHEN event = 'sent' THEN occurred_on END) AS sent_on,
    MIN(CASE WHEN event = 'clicked' AND NOT machine THEN occurred_on END) AS clicked_on,
    MAX(CASE WHEN event IN ('bounced', 'rejected') THEN 1 ELSE 0 END) AS lost
  FROM messages
  WHERE tenant = :tenant
    AND month <= :as_of_month
    AND month >= SUBSTR(CAST(DATE_ADD('day', -7 * (:baseline_weeks + 1) - 3, :as_of) AS varchar), 1, 7)
    AND occurred_on <= :as_of
    AND received_at < :known_before
  GROUP BY send_id, customer_id, scenario, channel
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
),
counts AS (
  SELECT
    metric,
    dimension,
    segment,
    SUM(CASE WHEN weeks_ago = 0 THEN 1 ELSE 0 END) AS members,
    SUM(CASE WHEN weeks_ago = 0 THEN responded ELSE 0 END) AS responders,
    COUNT(DISTINCT CASE WHEN weeks_ago > 0 THEN weeks_ago END) AS weeks,
    SUM(CASE WHEN weeks_ago > 0 THEN 1 ELSE 0 END) AS baseline_members,
    SUM(CASE WHEN weeks_ago > 0 THEN responded ELSE 0 END) AS baseline_responders
  FROM members
  GROUP BY metric, dimension, segment
),
rates AS (
  SELECT
    metric,
    dimension,
    segment,
    members,
    responders,
    weeks,
    baseline_members,
    baseline_responders,
    CAST(responders AS double) / NULLIF(members, 0) AS response_rate,
    CAST(baseline_responders AS double) / NULLIF(baseline_members, 0) AS baseline_rate,
    CAST(responders + baseline_responders AS double) / NULLIF(members + baseline_members, 0) AS pooled
  FROM counts
),
tested AS (
  SELECT
    metric,
    dimension,
    segment,
    members,
    responders,
    weeks,
    baseline_members,
    baseline_responders,
    response_rate,
    baseline_rate,
    members >= :minimum_people AND weeks >= 4 AND members * baseline_rate >= 5 AS enough,
    CAST(response_rate - baseline_rate AS double) / NULLIF(
      SQRT(
        pooled * (1 - pooled)
        * (CAST(1 AS double) / NULLIF(members, 0) + CAST(1 AS double) / NULLIF(baseline_members, 0))
      ),
      0
    ) AS z
  FROM rates
),
folded AS (
  SELECT
    metric,
    dimension,
    segment,
    members,
    responders,
    weeks,
    baseline_members,
    baseline_responders,
    response_rate,
    baseline_rate,
    enough,
    z,
    ABS(z) * CAST(0.7071067811865476 AS double) AS x,
    CAST(1 AS double) / NULLIF(1 + ABS(z) * CAST(0.3535533905932738 AS double), 0) AS u
  FROM tested
),
tails AS (
  SELECT
    metric,
    dimension,
    segment,
    members,
    responders,
    weeks,
    baseline_members,
    baseline_responders,
    response_rate,
    baseline_rate,
    enough,
    z,
    CAST(0.5 AS double) * u * EXP(
      -x * x - 1.26551223 + u * (1.00002368 + u * (0.37409196 + u * (0.09678418 + u * (-0.18628806 + u * (0.27886807
      + u * (-1.13520398 + u * (1.48851587 + u * (-0.82215223 + u * 0.17087277))))))))
    ) AS tail
  FROM folded
),
judged AS (
  SELECT
    metric,
    dimension,
    segment,
    members,
    responders,
    weeks,
    baseline_members,
    baseline_responders,
    response_rate,
    baseline_rate,
    enough,
    CASE WHEN z < 0 THEN tail ELSE 1 - tail END AS p_value
  FROM tails
)
SELECT
  metric,
  dimension,
  segment,
  CAST(members AS bigint) AS members,
  CAST(responders AS bigint) AS responders,
  CAST(members - responders AS bigint) AS silent,
  CAST(weeks AS integer) AS weeks,
  CAST(baseline_members AS bigint) AS baseline_members,
  CAST(baseline_responders AS bigint) AS baseline_responders,
  response_rate,
  baseline_rate,
  CAST(p_value AS double) AS p_value,
  CASE
    WHEN NOT COALESCE(enough, FALSE) OR p_value IS NULL THEN '判定不可'
    WHEN p_value * 100 < :significance_percent THEN '低下'
    ELSE '通常'
  END AS verdict
FROM judged
