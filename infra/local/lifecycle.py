"""The local cloud as its user sees it: up, down, status, logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local import process
from infra.local.deploy import Deployment, deploy
from infra.local.process import Emulator, LocalCloudError, LocalPaths
from infra.local.session import LocalSession

Progress = Callable[[str], None]
#: Stack outputs: by stack name, then by output key.
Outputs = Mapping[str, Mapping[str, str]]


def _silent(message: str) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class LocalCloud:
    """A running local cloud with something deployed in it."""

    emulator: Emulator
    outputs: Outputs
    page_url: str = ""

    @property
    def session(self) -> LocalSession:
        """An administrator's session."""
        return LocalSession(self.emulator)

    def output(self, key: str) -> str:
        """The value of the one stack output with this key."""
        return Deployment(self.outputs, 0.0).output(key)


def up(
    *,
    paths: LocalPaths | None = None,
    assembly: Path | None = None,
    synth: bool = True,
    port: int | None = None,
    keep: bool = False,
    wait_scale: float = 1.0,
    parameters: Mapping[str, Mapping[str, str]] | None = None,
    page: bool = False,
    on_progress: Progress = _silent,
) -> LocalCloud:
    """Start the emulator (or use the running one) and deploy; ``assembly`` deploys that one instead of ours.

    ``page`` also serves the local page (dashboard and outbox); its address is :attr:`LocalCloud.page_url`.
    """
    where = paths or LocalPaths()
    emulator = process.running(where)
    if emulator is None:
        on_progress("starting the local cloud")
        emulator = process.start(where, port=port, keep=keep, wait_scale=wait_scale)
    elif wait_scale != emulator.wait_scale:
        process.set_wait_scale(emulator, wait_scale)
    directory = assembly or _assembly(where, synth, on_progress)
    deployment = deploy(directory, LocalSession(emulator), parameters, on_progress)
    (where.data / "outputs.json").write_text(json.dumps(deployment.outputs))
    page_url = process.start_page(where).url if page else ""
    return LocalCloud(emulator, deployment.outputs, page_url)


def _assembly(paths: LocalPaths, synth: bool, on_progress: Progress) -> Path:
    if synth:
        from infra.synth import synthesise

        on_progress("synthesising the stacks")
        return synthesise(paths.assembly)
    if not (paths.assembly / "manifest.json").exists():
        raise LocalCloudError(f"nothing synthesised in {paths.assembly}: leave out --no-synth")
    return paths.assembly


def current(paths: LocalPaths | None = None) -> LocalCloud:
    """The running local cloud and what is deployed in it."""
    where = paths or LocalPaths()
    emulator = process.running(where)
    if emulator is None:
        raise LocalCloudError("the local cloud is not running: start it with `matakite local up`")
    try:
        outputs = json.loads((where.data / "outputs.json").read_text())
    except FileNotFoundError:
        outputs = {}
    page = process.running_page(where)
    return LocalCloud(emulator, outputs, page.url if page else "")


def down(paths: LocalPaths | None = None) -> bool:
    """Stop the local cloud; False when none was running."""
    return process.stop(paths or LocalPaths())


@dataclass(frozen=True)
class Status:
    """Whether the local cloud runs, and the state of each stack in it."""

    emulator: Emulator | None
    stacks: Mapping[str, str]
    outputs: Outputs


def status(paths: LocalPaths | None = None) -> Status:
    """What runs now."""
    where = paths or LocalPaths()
    emulator = process.running(where)
    if emulator is None:
        return Status(None, {}, {})
    stacks = LocalSession(emulator).client("cloudformation").describe_stacks()["Stacks"]
    return Status(emulator, {s["StackName"]: s["StackStatus"] for s in stacks}, current(where).outputs)


def logs(function: str = "", *, lines: int = 100, paths: LocalPaths | None = None) -> list[str]:
    """The last log lines: of every function whose name contains the word, or of the emulator itself."""
    where = paths or LocalPaths()
    if not function:
        return process.tail(where, lines).splitlines()
    client = current(where).session.client("logs")
    groups = [
        group["logGroupName"]
        for page in client.get_paginator("describe_log_groups").paginate()
        for group in page["logGroups"]
        if function.lower() in group["logGroupName"].lower()
    ]
    events = [
        event
        for group in groups
        for page in client.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in page["events"]
    ]
    events.sort(key=lambda event: event["timestamp"])
    return [event["message"].rstrip() for event in events[-lines:]]
