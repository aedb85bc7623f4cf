  -- Rows are R ≤ 60, 61–180, 181–365, more; columns F 1, 2–3, 4 and more (with the default limits).
  CASE
    WHEN r >= 5 THEN CASE WHEN f = 1 THEN '新規' WHEN f <= 3 THEN '有望' ELSE '優良' END
    WHEN r >= 3 THEN CASE WHEN f <= 3 THEN '悩み' ELSE '浮気予備軍' END
    WHEN r = 2 THEN CASE WHEN f = 1 THEN '離反' ELSE '浮気・不満' END
    ELSE '離反'
  END AS rank
