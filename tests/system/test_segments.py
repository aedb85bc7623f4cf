"""A segment from the keyboard to the night and back: counted, saved, evaluated, in the live state, exported."""

from __future__ import annotations

import codecs
import csv
import re
from pathlib import Path

from infra.local.process import LocalPaths
from shared.analytics.reports import ReportStore
from shared.customers.store import read_row
from shared.scenarios.read import PRESETS
from tests.system.books import scan
from tests.system.conftest import SEGMENT, Outage, Played
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


DEFINITION = """name: young_names
title: 新しいお客様
members:
  first_order: {days_ago: {at_most: 30}}
"""


def test_a_definition_is_counted_before_it_is_saved_and_exported_without_formulas(
    outage: Outage, cloud_paths: LocalPaths, tmp_path: Path
) -> None:
    file, exported = tmp_path / "young_names.yaml", tmp_path / "young_names.csv"
    file.write_text(DEFINITION, "utf-8")

    def segment(*arguments: str) -> str:
        said = matakite(cloud_paths, "segment", *arguments, "--shop", "outage")
        assert said.status == 0, said.err
        return said.out

    counted = segment("preview", str(file), "--sample", "2")
    assert "新しいお客様：3 人" in counted
    assert "ほか 1 人" in counted
    assert "young_names" not in segment("list"), "nothing is saved by a look"
    assert "新しいお客様：3 人" in segment("save", str(file)), "counted before it is saved"
    (listed,) = [line for line in segment("list").splitlines() if "young_names" in line]
    assert "次の夜間集計で" in listed
    draft = tmp_path / "vip_thanks.yaml"
    for name, status in (("vip", 1), ("young_names", 0)):
        draft.write_text((PRESETS / draft.name).read_text("utf-8").replace("[vip]", f"[{name}]"), "utf-8")
        said = matakite(cloud_paths, "scenario", "check", str(draft), "--shop", "outage")
        assert (said.status, f"segment {name}: the shop has no segment" in said.out) == (status, bool(status)), said
    segment("export", "young_names", "--with-contact", "-o", str(exported))
    assert exported.read_bytes().startswith(codecs.BOM_UTF8)
    heading, *people = csv.reader(exported.read_text("utf-8-sig").splitlines())
    assert heading == ["顧客ID", "姓", "名", "メールアドレス"]
    names = [[f"'=1+{n}", f"'@SUM({n})", f"{n}@example.jp"] for n in range(3)]
    assert sorted(row[1:] for row in people) == names, "a name that is a formula stays a text"
