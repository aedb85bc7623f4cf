-- LTV推移 by 媒体 (definitions.md §3): the media part of ltv_by_first_v1.
SELECT
  entry AS media,
  anchor,
--> ../ltv_measures.sql
  AND dimension = 'media'
