#fail everybody_arrives: the people of the as-of month came from somewhere, each once
SELECT ABS(
  (SELECT COALESCE(SUM(customers), 0) FROM cpm_transitions_v1
    WHERE tenant = :tenant AND dt = :as_of AND cpm_month = :as_of_month AND to_place <= 10)
  - (SELECT COUNT(*) FROM cpm_history_v1 WHERE tenant = :tenant AND dt = :as_of AND months_ago = 0)
) AS violations
#fail all_cells: 120 cells per month, empty ones too
SELECT ABS(COUNT(*) - 120 * :cpm_months) AS violations
FROM cpm_transitions_v1 WHERE tenant = :tenant AND dt = :as_of
