"""Deploy a synthesised cloud assembly, unchanged, through the CloudFormation API.

Does what ``cdk bootstrap`` and ``cdk deploy`` do for a real account: makes the staging bucket and the version
parameter, uploads the file assets, then creates or updates each stack after the stacks it depends on.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.local.session import ACCOUNT, REGION
from shared.core.errors import MatakiteError

if TYPE_CHECKING:
    from infra.local.session import LocalSession

_BOOTSTRAP_VERSION_PARAMETER = "/cdk-bootstrap/hnb659fds/version"
_BOOTSTRAP_VERSION = "30"
_FAILED_WORDS = ("FAILED", "ROLLBACK")
_POLL_SECONDS = 0.1
_STACK_SECONDS = 300.0

Progress = Callable[[str], None]


class DeployError(MatakiteError):
    """A stack did not deploy; names the stack, the resource and CloudFormation's reason."""


@dataclass(frozen=True)
class FileAsset:
    """One file or folder of the assembly and where the template expects it."""

    source: Path
    zipped: bool
    bucket: str
    key: str


@dataclass(frozen=True)
class Stack:
    """One stack of the assembly."""

    name: str
    template: Path
    depends_on: tuple[str, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    template_asset: FileAsset | None = None


@dataclass(frozen=True)
class Assembly:
    """A cloud assembly: its stacks in deployment order and its file assets."""

    stacks: tuple[Stack, ...]
    assets: tuple[FileAsset, ...]


@dataclass(frozen=True)
class Deployment:
    """What a deployment left: the outputs of every stack by stack name, and how long it took."""

    outputs: Mapping[str, Mapping[str, str]]
    seconds: float

    def output(self, key: str) -> str:
        """The value of the one output with this key, in whichever stack."""
        found = [values[key] for values in self.outputs.values() if key in values]
        if len(found) != 1:
            raise LookupError(f"{len(found)} stacks have an output {key!r}")
        return found[0]


def read_assembly(directory: Path) -> Assembly:
    """Read ``manifest.json`` and the asset manifests; nested assemblies (stages) are read too."""
    manifest = json.loads((directory / "manifest.json").read_text())
    artifacts: dict[str, Any] = manifest.get("artifacts", {})
    assets: dict[tuple[str, str], FileAsset] = {}
    stacks: dict[str, Stack] = {}
    nested: list[Assembly] = []
    for artifact in artifacts.values():
        if artifact["type"] == "cdk:asset-manifest":
            for asset in _file_assets(directory, directory / artifact["properties"]["file"]):
                assets[asset.bucket, asset.key] = asset
        elif artifact["type"] == "cdk:cloud-assembly":
            nested.append(read_assembly(directory / artifact["properties"]["directoryName"]))
    by_source = {asset.source: asset for asset in assets.values() if not asset.zipped}
    for artifact_id, artifact in artifacts.items():
        if artifact["type"] == "aws:cloudformation:stack":
            stacks[artifact_id] = _stack(directory, artifact_id, artifact, by_source)
    ordered = [stack for inner in nested for stack in inner.stacks] + _in_dependency_order(stacks)
    return Assembly(
        stacks=tuple(ordered),
        assets=(*(asset for inner in nested for asset in inner.assets), *assets.values()),
    )


def _stack(directory: Path, artifact_id: str, artifact: dict[str, Any], by_source: dict[Path, FileAsset]) -> Stack:
    properties = artifact["properties"]
    template = directory / properties["templateFile"]
    return Stack(
        name=properties.get("stackName", artifact_id),
        template=template,
        depends_on=tuple(artifact.get("dependencies", ())),
        parameters=properties.get("parameters", {}),
        tags=properties.get("tags", {}),
        template_asset=by_source.get(template),
    )


def _file_assets(directory: Path, manifest: Path) -> list[FileAsset]:
    return [
        FileAsset(
            source=directory / entry["source"]["path"],
            zipped=entry["source"].get("packaging") == "zip",
            bucket=_filled(destination["bucketName"]),
            key=_filled(destination["objectKey"]),
        )
        for entry in json.loads(manifest.read_text()).get("files", {}).values()
        for destination in entry["destinations"].values()
    ]


def _filled(text: str) -> str:
    values = {"AccountId": ACCOUNT, "Region": REGION, "Partition": "aws"}
    for name, value in values.items():
        text = text.replace(f"${{AWS::{name}}}", value)
    return text


def _in_dependency_order(stacks: dict[str, Stack]) -> list[Stack]:
    ordered: list[Stack] = []
    left = dict(stacks)
    while left:
        ready = [key for key, stack in left.items() if not any(need in left for need in stack.depends_on)]
        if not ready:
            raise DeployError(f"the stacks depend on each other in a circle: {', '.join(left)}")
        ordered += [left.pop(key) for key in ready]
    return ordered


def zipped(folder: Path) -> bytes:
    """The folder as a zip that depends only on its contents (fixed order, times and modes; not compressed)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def deploy(
    assembly_dir: Path,
    session: LocalSession,
    parameters: Mapping[str, Mapping[str, str]] | None = None,
    on_progress: Progress = lambda message: None,
) -> Deployment:
    """Bootstrap, upload the assets, create or update the stacks; ``parameters`` is by stack name."""
    started = time.monotonic()
    assembly = read_assembly(assembly_dir)
    _bootstrap(session, assembly)
    _upload(session, assembly, on_progress)
    outputs: dict[str, Mapping[str, str]] = {}
    for stack in assembly.stacks:
        on_progress(f"deploying {stack.name}")
        outputs[stack.name] = _apply(session, stack, (parameters or {}).get(stack.name, {}))
    return Deployment(outputs=outputs, seconds=time.monotonic() - started)


def _bootstrap(session: LocalSession, assembly: Assembly) -> None:
    s3 = session.client("s3")
    for bucket in {asset.bucket for asset in assembly.assets}:
        try:
            s3.head_bucket(Bucket=bucket)
        except ClientError:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    session.client("ssm").put_parameter(
        Name=_BOOTSTRAP_VERSION_PARAMETER, Value=_BOOTSTRAP_VERSION, Type="String", Overwrite=True
    )


def _upload(session: LocalSession, assembly: Assembly, on_progress: Progress) -> None:
    s3 = session.client("s3")

    def upload(asset: FileAsset) -> None:
        body = zipped(asset.source) if asset.zipped and asset.source.is_dir() else asset.source.read_bytes()
        digest = hashlib.sha256(body).hexdigest()
        if not _already_there(s3, asset, digest):
            s3.put_object(Bucket=asset.bucket, Key=asset.key, Body=body, Metadata={"sha256": digest})

    on_progress(f"uploading {len(assembly.assets)} assets")
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(upload, assembly.assets))


def _already_there(s3: Any, asset: FileAsset, digest: str) -> bool:
    try:
        found = s3.head_object(Bucket=asset.bucket, Key=asset.key)
    except ClientError:
        return False
    return bool(found.get("Metadata", {}).get("sha256") == digest)


def _apply(session: LocalSession, stack: Stack, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Create or update one stack and wait for it."""
    cloudformation = session.client("cloudformation")
    existing = _describe(cloudformation, stack.name)
    request = {
        "StackName": stack.name,
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in {**stack.parameters, **parameters}.items()
        ],
        "Tags": [{"Key": key, "Value": value} for key, value in stack.tags.items()],
        **_template_argument(session, stack),
    }
    if existing and existing["StackStatus"] in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED"):
        cloudformation.delete_stack(StackName=stack.name)
        _settled(cloudformation, stack.name)
        existing = None
    try:
        (cloudformation.update_stack if existing else cloudformation.create_stack)(**request)
    except ClientError as error:
        if "No updates are to be performed" in str(error):
            return _outputs(existing or {})
        raise DeployError(f"{stack.name}: {error}") from error
    return _outputs(_succeeded(cloudformation, stack.name))


def _template_argument(session: LocalSession, stack: Stack) -> dict[str, str]:
    if stack.template_asset is None:
        return {"TemplateBody": stack.template.read_text()}
    asset = stack.template_asset
    return {"TemplateURL": f"{session.emulator.endpoint}/{asset.bucket}/{asset.key}"}


def _describe(cloudformation: Any, name: str) -> dict[str, Any] | None:
    try:
        stacks: list[dict[str, Any]] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError:
        return None
    return stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None


def _settled(cloudformation: Any, name: str) -> dict[str, Any] | None:
    deadline = time.monotonic() + _STACK_SECONDS
    while time.monotonic() < deadline:
        stack = _describe(cloudformation, name)
        if stack is None or not stack["StackStatus"].endswith("_IN_PROGRESS"):
            return stack
        time.sleep(_POLL_SECONDS)
    raise DeployError(f"{name}: still in progress after {_STACK_SECONDS:.0f} s")


def _succeeded(cloudformation: Any, name: str) -> dict[str, Any]:
    stack = _settled(cloudformation, name)
    if stack is None or any(word in stack["StackStatus"] for word in _FAILED_WORDS):
        status = stack["StackStatus"] if stack else "gone"
        raise DeployError(f"{name}: {status}\n{_failures(cloudformation, name)}")
    return stack


def _failures(cloudformation: Any, name: str) -> str:
    """The resources that failed and why, oldest first; cancelled siblings are left out."""
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    lines = [
        f"  {event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', 'no reason')}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in event.get("ResourceStatusReason", "")
    ]
    return "\n".join(lines) or "  CloudFormation gave no reason"


def _outputs(stack: Mapping[str, Any]) -> Mapping[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
