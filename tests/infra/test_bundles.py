"""The code bundles: what a real Lambda would unpack, and whether every function imports from it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from functools import cache
from pathlib import Path

import pytest

from infra.packaging.bundle import LIMIT_BYTES, ROOT, TEMPLATES, Bundle, Group, Platform, bundle

RUNTIME_PYTHON = ROOT / ".venv-runtime" / "bin" / "python"
AARCH64 = 183  # e_machine in the ELF header
HEAVY = {"numpy", "pandas", "pyarrow", "scipy"}
FUNCTIONS = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in (ROOT / "functions").glob("*/*.py")
    if path.name != "__init__.py"
)

# Runs in the runtime's interpreter, which sees the bundle and what the runtime brings, and nothing else.
IMPORT_EACH = """
import importlib, json, sys
bundle, *names = sys.argv[1:]
sys.path.insert(0, bundle)
report = {}
for name in names:
    try:
        handler = getattr(importlib.import_module(name), "handler", None)
        report[name] = None if callable(handler) else "has no handler"
    except Exception as error:
        report[name] = f"{type(error).__name__}: {error}"
print(json.dumps({"imports": report, "loaded": sorted({each.partition(".")[0] for each in sys.modules})}))
"""


# What was left out of the packages must not be missed.
USE_PACKAGES = """
import io, sys
sys.path.insert(0, sys.argv[1])
import pyarrow, pyarrow.compute, pyarrow.csv, pyarrow.dataset, pyarrow.fs, pyarrow.parquet
file = io.BytesIO()
pyarrow.parquet.write_table(pyarrow.table({"amount": [1200, 300]}), file, compression="zstd")
assert pyarrow.compute.sum(pyarrow.parquet.read_table(file)["amount"]).as_py() == 1500
import babel.dates, babel.numbers, datetime, liquid
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.parser import BaseModel
from pynamodb.models import Model
print(babel.numbers.format_currency(1200, "JPY", locale="ja_JP"), liquid.render("{{ name }} 様", name="見本"))
print(babel.dates.format_date(datetime.date(2026, 3, 1), locale="en_US"))
"""


# Nor of numpy and scipy: a whole night of a tiny shop.
USE_MODELS = """
import sys
sys.path.insert(0, sys.argv[1])
from shared.analytics.models import night
groups = "x,t_x,t_cal,customers,log_gaps\\n0,0,30,9,4.1\\n2,20,40,3,4.1\\n1,9,30,2,4.1\\n"
held = "x,t_x,t_cal,later,days,customers\\n0,0,30,0,30,9\\n1,9,30,2,30,15\\n"
print(night.run(groups, "orders,customers,mean\\n1,9,800.0\\n3,3,900.0\\n", held, None).rows)
"""


@cache
def built(group: Group, platform: Platform) -> Bundle:
    return bundle(group, platform)


def packages(path: Path) -> set[str]:
    return {entry.stem if entry.suffix == ".py" else entry.name for entry in path.iterdir()}


@pytest.mark.parametrize("group", Group)
def test_the_arm64_bundle_is_one_that_lambda_takes(group: Group) -> None:
    lambda_bundle = built(group, Platform.LAMBDA)
    assert 0 < lambda_bundle.unpacked_bytes < LIMIT_BYTES
    natives = list(lambda_bundle.path.rglob("*.so"))
    assert natives, "pydantic's core is native: a bundle without it is broken"
    wrong = [file.name for file in natives if int.from_bytes(file.read_bytes()[18:20], "little") != AARCH64]
    assert not wrong


@pytest.mark.parametrize("group", Group)
@pytest.mark.parametrize("platform", Platform)
def test_a_bundle_leaves_to_the_runtime_what_the_runtime_brings(group: Group, platform: Platform) -> None:
    found = packages(built(group, platform).path)
    assert not found & {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "bin", ".lock"}


def test_light_functions_carry_nothing_heavy() -> None:
    assert not packages(built(Group.LIGHT, Platform.LAMBDA).path) & HEAVY


@pytest.mark.parametrize("group", Group)
def test_both_platforms_get_the_same_sources(group: Group) -> None:
    def sources(platform: Platform) -> dict[str, bytes]:
        path = built(group, platform).path
        files = (file for folder in ("functions", "shared") for file in (path / folder).rglob("*") if file.is_file())
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in files if file.suffix != ".pyc"}

    assert sources(Platform.LAMBDA) == sources(Platform.HOST)


def test_every_mail_template_is_compiled() -> None:
    templates = [file.relative_to(ROOT) for file in (ROOT / TEMPLATES).rglob("*.mjml")]
    assert templates
    missing = [
        name
        for name in templates
        if not (built(Group.LIGHT, Platform.LAMBDA).path / name).with_suffix(".html").is_file()
    ]
    assert not missing


def imported(group: Group, names: list[str], elsewhere: Path) -> dict[str, dict[str, str | None] | list[str]]:
    """Import functions as Lambda does: bundle and runtime only, an empty environment, another working directory."""
    outcome = subprocess.run(
        [str(RUNTIME_PYTHON), "-I", "-B", "-c", IMPORT_EACH, str(built(group, Platform.HOST).path), *names],
        env={},
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    report: dict[str, dict[str, str | None] | list[str]] = json.loads(outcome.stdout)
    return report


def test_every_function_imports_from_its_bundle_with_an_empty_environment(
    groups_of_functions: dict[str, Group], tmp_path: Path
) -> None:
    assert sorted(groups_of_functions) == FUNCTIONS, "every file in functions/ is deployed, and nothing else is"
    for group in Group:
        names = [name for name, used in groups_of_functions.items() if used is group]
        report = imported(group, names, tmp_path)["imports"]
        assert isinstance(report, dict)
        assert {name: problem for name, problem in report.items() if problem} == {}


def test_webhooks_and_delivery_load_nothing_heavy(tmp_path: Path) -> None:
    names = [name for name in FUNCTIONS if name.split(".")[1] in ("ingest", "delivery")]
    assert names
    assert not set(imported(Group.LAKE, names, tmp_path)["loaded"]) & HEAVY


def test_what_was_left_out_of_the_packages_is_not_missed(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [str(RUNTIME_PYTHON), "-I", "-B", "-X", "utf8", "-c", USE_PACKAGES, str(built(Group.LAKE, Platform.HOST).path)],
        env={},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (outcome.returncode, outcome.stdout) == (0, "￥1,200 見本 様\nMar 1, 2026\n"), outcome.stderr


def test_what_was_left_out_of_numpy_and_scipy_is_not_missed(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [str(RUNTIME_PYTHON), "-I", "-B", "-c", USE_MODELS, str(built(Group.MODEL, Platform.HOST).path)],
        env={},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (outcome.returncode, outcome.stdout) == (0, "3\n"), outcome.stderr


@pytest.fixture(scope="module")
def groups_of_functions() -> dict[str, Group]:
    """Module of each deployed function → the group whose bundle it gets, read from the synthesised templates."""
    from infra.synth import synthesise

    assembly = synthesise(ROOT / ".build" / "assembly")
    group_of = {f"{_as_cdk_names(built(group, Platform.HOST))}.zip": group for group in Group}
    found: dict[str, Group] = {}
    for template in assembly.glob("*.template.json"):
        for resource in json.loads(template.read_text("utf-8")).get("Resources", {}).values():
            properties = resource.get("Properties", {})
            if resource["Type"] == "AWS::Lambda::Function" and properties["Handler"].startswith("functions."):
                module = properties["Handler"].removesuffix(".handler")
                found[module] = group_of[properties["Code"]["S3Key"]]
    return found


def _as_cdk_names(bundle: Bundle) -> str:
    """CDK hashes the hash it is given once more."""
    return hashlib.sha256(bundle.asset_hash.encode()).hexdigest()
