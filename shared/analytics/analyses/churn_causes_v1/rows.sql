people AS (
  SELECT
    customer_id,
    media,
    store,
    offline,
    discounted,
    subscription_id,
    order_amount,
    source,
    order_id,
    DATE_DIFF('day', last_on, :as_of) >= :churn_days AS churned
  FROM purchases_v1
  WHERE tenant = :tenant
    AND dt = :as_of
    AND number = 1
    AND counted = 1
    -- Everybody has had the time to leave: the others are undecided and would dilute the rate.
    AND DATE_DIFF('day', first_on, :as_of) >= :churn_days
),
attributes AS (
--> ../../segments/sources/attributes.sql
),
factors AS (
  SELECT customer_id, churned, 'media' AS factor, media AS factor_value FROM people
  UNION ALL
  SELECT customer_id, churned, 'store' AS factor, store AS factor_value FROM people
  UNION ALL
  SELECT customer_id, churned, 'place' AS factor, CASE WHEN offline THEN '店舗・電話' ELSE 'オンライン' END AS factor_value FROM people
  UNION ALL
  SELECT customer_id, churned, 'discount' AS factor, CASE WHEN discounted THEN '値引きあり' ELSE '値引きなし' END AS factor_value
  FROM people
  UNION ALL
  SELECT customer_id, churned, 'contract' AS factor, CASE WHEN subscription_id IS NULL THEN '都度' ELSE '定期' END AS factor_value
  FROM people
  UNION ALL
  SELECT
    customer_id,
    churned,
    'first_amount' AS factor,
    CASE
      WHEN order_amount < :m2 THEN '1'
      WHEN order_amount < :m3 THEN '2'
      WHEN order_amount < :m4 THEN '3'
      WHEN order_amount < :m5 THEN '4'
      WHEN order_amount < :m6 THEN '5'
      WHEN order_amount >= :m6 THEN '6'
      ELSE '不明'
    END AS factor_value
  FROM people
  UNION ALL
  SELECT people.customer_id, people.churned, 'category' AS factor, bought.category AS factor_value
  FROM people
  INNER JOIN (
    SELECT DISTINCT customer_id, source, store, order_id, category
    FROM lines_v1
    WHERE tenant = :tenant AND dt = :as_of
  ) AS bought
    ON bought.customer_id = people.customer_id
    AND bought.source = people.source
    AND bought.store = people.store
    AND bought.order_id = people.order_id
  UNION ALL
  SELECT
    people.customer_id,
    people.churned,
    CASE attributes.name WHEN 'birth_month' THEN 'age' ELSE attributes.name END AS factor,
    CASE attributes.name
      WHEN 'birth_month' THEN CAST(
        10 * CAST(
          FLOOR(
            (YEAR(:as_of) - TRY_CAST(SUBSTR(attributes.value, 1, 4) AS integer)
              - CASE WHEN SUBSTR(CAST(:as_of AS varchar), 6, 2) < SUBSTR(attributes.value, 6, 2) THEN 1 ELSE 0 END)
              * CAST(0.1 AS double)
          ) AS integer
        ) AS varchar
      ) || '代'
      ELSE attributes.value
    END AS factor_value
  FROM people
  INNER JOIN attributes ON attributes.customer_id = people.customer_id
  WHERE attributes.name IN ('gender', 'prefecture', 'birth_month', 'occupation')
)
