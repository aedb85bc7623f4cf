"""How much memory and time a long file takes: it is read as a stream, so its rows are in memory once and compact."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROWS = 200_000
MOST_MEGABYTES = 400
"""Of the whole process, so the function takes the longest file the inbox lets in."""

_READ = """
import json, sys, time
from datetime import UTC, datetime
from pathlib import Path
from shared.core.ids import TenantId
from shared.ingest import history
from shared.ingest.files.importing import read_into
from shared.ingest.files.model import FileOptions
from shared.ingest.files.reading import Reading
from shared.ingest.files.registry import kind
from tests.bench.peak import peak_mb
began = time.monotonic()
options = FileOptions(TenantId("sample"), personal_key=b"a key")
with Path(sys.argv[1]).open("rb") as stream, history.Pack() as pack:
    reading = Reading(stream, kind("orders"), options, datetime(2026, 11, 21, tzinfo=UTC))
    read_into(reading, pack)
    chunks = sum(1 for _ in pack.chunks())
    told = {"events": len(pack), "bad": len(reading.bad), "chunks": chunks}
told["seconds"] = time.monotonic() - began
told["megabytes"] = peak_mb()
print(json.dumps(told))
"""


def _rows() -> Iterator[str]:
    yield "注文番号,会員ID,メールアドレス,姓,名,電話番号,注文日,合計金額,商品名,数量,単価\n"
    for number in range(ROWS):
        person = number % 50_000
        yield (
            f"A-{number},{person},c{person}@example.com,見本,花子,050-0000-{person % 10_000:04d},2026-01-05,1980,"
            "季節のお茶 詰め合わせ,2,990\n"
        )


def test_a_file_of_200_000_orders_is_read_in_bounded_memory(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    with file.open("w", encoding="cp932") as out:
        out.writelines(_rows())
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(file)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    told = json.loads(done.stdout)
    print(
        f"{told['events']:,} orders ({file.stat().st_size / 1e6:.0f} MB): {told['seconds']:.1f} s, "
        f"{told['megabytes']:.0f} MB"
    )
    assert (told["events"], told["bad"]) == (ROWS, 0)
    assert 40 <= told["chunks"] <= 50
    assert told["megabytes"] < MOST_MEGABYTES
