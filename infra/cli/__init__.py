"""The `matakite` command: one file per topic, mounted here."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click
import typer

from shared.core.errors import MatakiteError

COMMANDS = {
    "local": "the local cloud: up, down, status, logs / ローカルクラウド",
    "demo": "deploy, import, score and play a shop's day / デモ",
    "shop": "settings of a shop / ショップ設定",
    "connection": "connect a cart / カート接続",
    "import": "bring in history from files / データ取り込み",
    "nightly": "run the nightly scoring now / 夜間集計",
    "analysis": "run one analysis / 分析",
    "segment": "who is meant: try, save, export / セグメント",
    "model": "fit and check purchase models on any file / 購買モデル",
    "scenario": "check and list scenarios / シナリオ",
    "mail": "templates: list, check, preview, test send / 文面",
    "delivery": "sending: pace, reputation, stop and resume / 配信の状態",
    "survey": "ask customers, and see what they answered / アンケート",
    "customer": "look a person up / 顧客",
    "line": "LINE official account: connect, price, link / LINE",
    "sms": "SMS: receipts, budget / SMS",
    "postal": "letters to be printed / 郵送DM",
    "call": "tasks for the call centre / 架電タスク",
    "endpoint": "where webhooks and call tasks are posted / 送信先",
    "privacy": "proof of consent, disclosure, erasure / 個人情報",
    "bill": "what AWS takes in a month, and what a scenario costs / 料金",
    "explain": "why did (or didn't) this person get this? / 配信理由",
}
"""Command → help; each lives in the file of its name (`import` in `importing.py`, `nightly` in `analysis.py`)."""

_FILES = {"import": "importing", "nightly": "analysis"}
_OBJECTS = {"nightly": "nightly"}
_COMPLETION = frozenset({"install_completion", "show_completion"})
"""Options that Typer adds: they would install completion for a program of the topic's name."""
_EVERYTHING = {"ignore_unknown_options": True}


def topic(name: str) -> Any:
    """The command of one topic, from its file."""
    app: Any = getattr(import_module(f"infra.cli.{_FILES.get(name, name)}"), _OBJECTS.get(name, "app"))
    command = typer.main.get_command(app)
    command.params = [each for each in command.params if each.name not in _COMPLETION]
    return command


class _Topic(click.Command):
    """Hands its arguments to a Typer command, which brings its own Click: errors and `--help` are for it to show."""

    def __init__(self, name: str, command: Any) -> None:
        super().__init__(name, help=COMMANDS[name], add_help_option=False, context_settings=_EVERYTHING)
        self.params = [click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)]
        self.callback = lambda arguments: command.main(args=list(arguments), prog_name=f"matakite {name}")


class _Topics(click.Group):
    """Loads a topic's file only when it is used: `matakite --help` must not wait for boto3 or pyarrow."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if "--help" in sys.argv[1:2] or len(sys.argv) == 1:
            return click.Command(cmd_name, help=COMMANDS[cmd_name])
        return _Topic(cmd_name, topic(cmd_name))


@click.group(cls=_Topics, context_settings={"help_option_names": ["-h", "--help"]})
def matakite() -> None:
    """Matakite (また来て): CRM and marketing automation for online shops, in the shop's own AWS account."""


def main() -> None:
    """Run the command; what we can explain is one line on stderr and exit status 1."""
    try:
        matakite()
    except _explained() as error:
        click.echo(f"matakite: {_said(error)}", err=True)
        sys.exit(1)


def _explained() -> tuple[type[Exception], ...]:
    """Our own errors, files that cannot be read, and AWS's answers: asked for only when something went wrong."""
    from botocore.exceptions import BotoCoreError, ClientError

    return (MatakiteError, OSError, UnicodeDecodeError, BotoCoreError, ClientError)


def _said(error: Exception) -> str:
    from botocore.exceptions import ConnectionError as Unreachable

    if isinstance(error, Unreachable):
        return f"{error}: is the local cloud still up (`matakite local status`), or the network?"
    if isinstance(error, UnicodeDecodeError):
        return "the file is not text in UTF-8: save it as UTF-8 and try again"
    if isinstance(error, OSError) and error.filename:
        return f"cannot use {error.filename}: {error.strerror}"
    return str(error)
