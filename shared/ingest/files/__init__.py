"""Files a shop brings (ファイル取り込み): one reader for all kinds, one file in `kinds/` for each kind.

UTF-8 (with or without BOM), Shift_JIS as Excel writes it (CP932) or UTF-16; comma, semicolon or tab. A row that cannot
be read is listed with its line and reason; everything else goes in. The same file twice is the same events.
"""
