"""Reading a cloud assembly and packing its assets."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from infra.local.deploy import DeployError, read_assembly, zipped


def an_assembly(directory: Path, stacks: dict[str, list[str]]) -> Path:
    """Stacks by name, each with the names it depends on, and one asset."""
    artifacts: dict[str, Any] = {
        name: {
            "type": "aws:cloudformation:stack",
            "dependencies": needs,
            "properties": {"templateFile": f"{name}.template.json"},
        }
        for name, needs in stacks.items()
    }
    artifacts["assets"] = {"type": "cdk:asset-manifest", "properties": {"file": "x.assets.json"}}
    files = {
        "a": {
            "source": {"path": "code", "packaging": "zip"},
            "destinations": {"d": {"bucketName": "b-${AWS::AccountId}-${AWS::Region}", "objectKey": "a.zip"}},
        }
    }
    (directory / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    (directory / "x.assets.json").write_text(json.dumps({"files": files}))
    return directory


def test_stacks_come_after_those_they_depend_on(tmp_path: Path) -> None:
    assembly = read_assembly(an_assembly(tmp_path, {"web": ["data", "assets"], "data": [], "last": ["web"]}))
    assert [stack.name for stack in assembly.stacks] == ["data", "web", "last"]


def test_stacks_in_a_circle_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="circle"):
        read_assembly(an_assembly(tmp_path, {"a": ["b"], "b": ["a"]}))


def test_asset_destinations_name_the_local_account(tmp_path: Path) -> None:
    (asset,) = read_assembly(an_assembly(tmp_path, {"a": []})).assets
    assert asset.bucket == "b-000000000000-ap-northeast-1"
    assert asset.zipped


def test_a_zip_depends_on_the_contents_alone(tmp_path: Path) -> None:
    for name, stamp in (("one", 1), ("two", 999999999)):
        folder = tmp_path / name
        (folder / "__pycache__").mkdir(parents=True)
        (folder / "__pycache__" / "x.pyc").write_bytes(name.encode())
        (folder / "x.py").write_text("x = 1\n")
        os.utime(folder / "x.py", (stamp, stamp))
    first, second = zipped(tmp_path / "one"), zipped(tmp_path / "two")
    assert first == second
    assert zipfile.ZipFile(io.BytesIO(first)).namelist() == ["x.py"]
