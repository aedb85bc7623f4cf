"""A scenario as lines of text, indented by branch (`matakite scenario show`, `diff`)."""

from __future__ import annotations

from collections.abc import Iterator

from shared.scenarios.compile import condition_told
from shared.scenarios.language.steps import Branch, Send, Split, Step, Wait, WaitFor, step_kind, step_name
from shared.scenarios.language.words import format_duration
from shared.scenarios.model import ExitRule, Scenario


def describe(scenario: Scenario) -> Iterator[str]:
    """The scenario as lines of text, indented by branch (`matakite scenario show`)."""
    told = {key: value for key, value in scenario.entry.told().items() if key != "event"}
    asks = ", ".join(f"{key} {value}" for key, value in told.items())
    yield f"{scenario.id}  {scenario.title}  [{scenario.status.value}]  version {scenario.version}"
    yield f"entry: {scenario.entry.event.value} ({asks}); collected every {_every(scenario)}"
    said = [rule.value if isinstance(rule, ExitRule) else str(condition_told(rule)) for rule in scenario.exit_when]
    yield f"exit when: {', '.join(said)}"
    if scenario.goal:
        yield f"goal: {condition_told(scenario.goal)}"
    yield from _lines(scenario.steps, "")


def _every(scenario: Scenario) -> str:
    return format_duration(scenario.sweep_every)


def _lines(steps: tuple[Step, ...], indent: str) -> Iterator[str]:
    for step in steps:
        note = f"   # {step.note}" if step.note else ""
        match step:
            case Wait():
                yield f"{indent}{step_name(step)}{note}"
            case Send():
                late = format_duration(step.expires_after)
                by = " else ".join(step.channel)
                yield f"{indent}send {step.send}: {by} {step.template}, not later than {late}{note}"
            case Branch() | Split() | WaitFor():
                yield f"{indent}{_asks(step)}{note}"
                for arm, path in step.paths():
                    yield f"{indent}  {arm}:" + ("" if path else " (goes on)")
                    yield from _lines(path, f"{indent}    ")
            case _:
                yield f"{indent}{step_kind(step)} {step_name(step)}{note}"


def _asks(fork: Branch | Split | WaitFor) -> str:
    match fork:
        case Split():
            return f"split {fork.split} " + ", ".join(f"{arm} {share}%" for arm, share in fork.shares.items())
        case WaitFor():
            when, every = condition_told(fork.when), format_duration(fork.every)
            return f"wait for {fork.wait_for} {when}, at most {format_duration(fork.timeout)}, looked at every {every}"
        case _:
            return f"branch {fork.branch} on {fork.on.value if fork.on else list(fork.when or ())}"
