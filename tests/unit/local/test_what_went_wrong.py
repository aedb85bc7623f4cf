"""What went wrong is a sentence and exit status 1, never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from infra import cli
from infra.cli.session import Deployment, connect
from shared.core.errors import MisconfiguredError


class Stacks:
    """CloudFormation while nothing, or not everything, is deployed."""

    def __init__(self, found: dict[str, Any] | None) -> None:
        self._found = found

    def client(self, _: str) -> Stacks:
        return self

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        if self._found is None:
            error = {"Error": {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}}
            raise ClientError(error, "DescribeStacks")  # type: ignore[arg-type]
        return {"Stacks": [self._found]}


@pytest.mark.parametrize("found", [None, {"StackStatus": "CREATE_IN_PROGRESS"}])
def test_where_nothing_is_deployed_yet_it_says_what_to_run(found: dict[str, Any] | None) -> None:
    with pytest.raises(MisconfiguredError, match="matakite local up"):
        _ = Deployment(Stacks(found), "http://127.0.0.1:4566").outputs  # type: ignore[arg-type]
    with pytest.raises(MisconfiguredError, match="cdk deploy"):
        _ = Deployment(Stacks(found)).outputs  # type: ignore[arg-type]


def test_an_account_without_a_region_is_asked_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = {"MATAKITE_TARGET": "aws", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    for name, value in {**given, "AWS_CONFIG_FILE": str(tmp_path / "none")}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MisconfiguredError, match="AWS_DEFAULT_REGION"):
        connect()


def test_a_deployment_that_does_not_answer_says_where_to_look(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone() -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    monkeypatch.setattr(cli, "matakite", gone)
    with pytest.raises(SystemExit):
        cli.main()
    assert "matakite local status" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file"), ("名前".encode("cp932"), "UTF-8"), (b"id: [1", "not YAML")],
)
def test_a_file_that_cannot_be_read_is_named(
    content: bytes | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "draft.yaml"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr("sys.argv", ["matakite", "scenario", "diff", "cart_abandoned", str(file)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    printed = capsys.readouterr().err
    assert said in printed
    assert "Traceback" not in printed
