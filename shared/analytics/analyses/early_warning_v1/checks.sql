#fail responders_are_members: nobody responds who was not asked
SELECT COUNT(*) AS violations FROM early_warning_v1
WHERE tenant = :tenant AND dt = :as_of
  AND (responders > members OR baseline_responders > baseline_members OR p_value < 0 OR p_value > 1)
#warn response_fell: a segment responds less than its own history says
SELECT COUNT(CASE WHEN verdict = '低下' THEN 1 END) AS violations FROM early_warning_v1 WHERE tenant = :tenant AND dt = :as_of
