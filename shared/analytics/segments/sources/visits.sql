-- Visits of known people (閲覧・ログイン・行動), each once; reads `links`.
SELECT DISTINCT links.customer_id, seen.event_id, seen.kind, seen.name, seen.page_type, seen.product_id, seen.occurred_on
FROM (
  SELECT
    page_views.event_id,
    page_views.kind,
    page_views.name,
    page_views.page_type,
    page_views.product_id,
    page_views.occurred_on,
    one.ref
  FROM page_views
  CROSS JOIN UNNEST(page_views.refs) AS one (ref)
  WHERE page_views.tenant = :tenant
    AND page_views.month <= :as_of_month
    AND page_views.month >= :since_month
    AND page_views.occurred_on <= :as_of
    AND page_views.received_at < :known_before
    AND NOT COALESCE(page_views.machine, FALSE)
) AS seen
INNER JOIN links ON links.ref = seen.ref
