"""``matakite local``: the whole product on this machine."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from infra.local import lifecycle
from infra.local.lifecycle import LocalCloud
from infra.local.process import DEFAULT_PORT
from infra.local.session import local_url

app = typer.Typer(name="local", help="Run the whole product on this machine.", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)


@app.command()
def up(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the state for the next `up`.")] = False,
    port: Annotated[
        int, typer.Option("--port", help="Port to listen on; another is taken when in use.")
    ] = DEFAULT_PORT,
    wait_scale: Annotated[
        float, typer.Option("--wait-scale", min=0, help="Factor on scenario waits: 0 skips them, 1 is real time.")
    ] = 1.0,
    synth: Annotated[bool, typer.Option("--synth/--no-synth", help="Synthesise the stacks first.")] = True,
) -> None:
    """Start the local cloud, deploy into it and print the URLs."""
    with _console.status("…") as line:
        tell = line.update if _console.is_terminal else _console.print
        cloud = lifecycle.up(keep=keep, port=port, wait_scale=wait_scale, synth=synth, page=True, on_progress=tell)
    _print_addresses(cloud)


@app.command()
def down() -> None:
    """Stop the local cloud."""
    _console.print("stopped" if lifecycle.down() else "the local cloud was not running")


@app.command()
def status(
    outputs: Annotated[bool, typer.Option("--outputs", help="Every output of the stacks too.")] = False,
) -> None:
    """Say whether the local cloud runs and what is deployed in it."""
    found = lifecycle.status()
    if found.emulator is None:
        _console.print("the local cloud is not running")
        raise typer.Exit(1)
    kept = "kept" if found.emulator.keep else "not kept"
    _console.print(f"running: pid {found.emulator.pid}, {found.emulator.endpoint}, state {kept}")
    for name, state in found.stacks.items():
        _console.print(f"{name}: {state}")
    _print_addresses(lifecycle.current())
    if outputs:
        _print_outputs(found.outputs)


@app.command()
def logs(
    function: Annotated[str, typer.Argument(help="Part of a function's name; empty: the emulator itself.")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines.")] = 100,
) -> None:
    """Show the last log lines of a function or of the emulator."""
    found = lifecycle.logs(function, lines=lines)
    for line in found:
        _console.print(line, markup=False, highlight=False)
    if not found:
        _console.print(f"nothing was logged yet, or no function's name holds {function!r}", markup=False)


def _print_addresses(cloud: LocalCloud) -> None:
    addresses = {
        "API (webhooks, pages)": local_url(cloud.emulator, cloud.output("ApiUrl")),
        "dashboard": f"{cloud.page_url}/dashboard" if cloud.page_url else "",
        "mails sent": f"{cloud.page_url}/outbox" if cloud.page_url else "",
        "AWS endpoint": cloud.emulator.endpoint,
    }
    for name, address in addresses.items():
        if address:
            _console.print(f"{name:22} {address}")


def _print_outputs(outputs: lifecycle.Outputs) -> None:
    table = Table(box=None, show_header=False)
    for stack in outputs.values():
        for key, value in sorted(stack.items()):
            table.add_row(key, value)
    _console.print(table)
