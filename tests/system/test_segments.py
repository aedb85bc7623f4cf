"""A segment from the keyboard to the night and back: counted, saved, evaluated, in the live state, exported."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from infra.local.process import LocalPaths
from shared.analytics.reports import ReportStore
from shared.customers.store import read_row
from tests.system.books import scan
from tests.system.conftest import SEGMENT, Played
from tests.system.screen import matakite


def test_a_segment_is_counted_saved_evaluated_and_exported(
    played: Played, cloud_paths: LocalPaths, tmp_path: Path
) -> None:
    deployment, tenant, path = played.stage.deployment, played.stage.shop.tenant, tmp_path / "list.csv"
    assert played.saved.status == 0, played.saved.err
    people = int(re.findall(r"一度きり：([\d,]+) 人", played.saved.out)[0].replace(",", ""))
    assert people > 0
    report = ReportStore(deployment.outputs["ReportsTable"], deployment.client("dynamodb")).get(
        tenant, "segment_counts", played.night
    )
    assert report is not None
    assert {each["segment"]: each["people"] for each in report["rows"]} == {SEGMENT: people}
    rows = [read_row(item) for item in scan(deployment, "CustomersTable") if item["kind"]["S"] == "profile"]
    profiles = [row.profile for row in rows if row and row.profile and row.tenant == tenant]
    inside = [(profile.segments, profile.segments_on) for profile in profiles if profile.segments]
    assert inside == [((SEGMENT,), played.night)] * people
    said = matakite(cloud_paths, "segment", "export", SEGMENT, "--with-contact", "-o", str(path), "--shop", "default")
    assert said.status == 0, said.err
    heading, *lines = csv.reader(path.read_text("utf-8-sig").splitlines())
    assert len(lines) == people
    assert all("@example.com" in line[3] and len(line) == len(heading) for line in lines)
