    -- Six bins each, 6 is best (definitions.md §2); upper limits of R and lower limits of F and M are inclusive.
    CASE
      WHEN recency_days <= :r6 THEN 6
      WHEN recency_days <= :r5 THEN 5
      WHEN recency_days <= :r4 THEN 4
      WHEN recency_days <= :r3 THEN 3
      WHEN recency_days <= :r2 THEN 2
      ELSE 1
    END AS r,
    CASE
      WHEN orders >= :f6 THEN 6
      WHEN orders >= :f5 THEN 5
      WHEN orders >= :f4 THEN 4
      WHEN orders >= :f3 THEN 3
      WHEN orders >= :f2 THEN 2
      ELSE 1
    END AS f,
    CASE
      WHEN amount >= :m6 THEN 6
      WHEN amount >= :m5 THEN 5
      WHEN amount >= :m4 THEN 4
      WHEN amount >= :m3 THEN 3
      WHEN amount >= :m2 THEN 2
      ELSE 1
    END AS m
