-- Members of the shop's saved segments (保存セグメント). The night puts the segments' own SQL in place of this
-- (segments/night.py); asked without them, the members are those of the run before.
SELECT segment, version, customer_id
FROM segment_members_v1
WHERE tenant = :tenant
  AND dt = :previous_on
