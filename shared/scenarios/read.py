"""Reads scenario files: YAML in, a `Scenario` out, or every mistake with its line, its reason and a suggestion.

Used where scenarios are written, checked and compiled; no Lambda reads YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from shared.core.errors import RejectedError
from shared.scenarios import model
from shared.scenarios.model import (
    ARMS,
    BELONGS,
    ENTRY,
    FORKS,
    HOLDOUT,
    KINDS,
    NEEDS,
    OTHERWISE,
    REASONS,
    Branch,
    Condition,
    Entry,
    Exit,
    ExitRule,
    ExpectSend,
    ExpectSkip,
    Fork,
    Scenario,
    Send,
    Split,
    Step,
    Trigger,
    Wait,
    WaitFor,
    WaitUntil,
    format_duration,
    step_name,
    walk,
)

PRESETS = Path(__file__).parent / "presets"

Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a scenario file."""

    file: str
    line: int
    field: str
    reason: str
    suggestion: str = ""

    def __str__(self) -> str:
        """`cart.yaml:12: steps.1.wait: …. Did you mean …?`"""
        hint = f". {self.suggestion}" if self.suggestion else ""
        return f"{self.file}:{self.line}: {self.field}: {self.reason}{hint}"


class InvalidScenarioError(RejectedError):
    """A scenario file that is refused; `mistakes` lists everything wrong with it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(set(mistakes), key=lambda mistake: (mistake.file, mistake.line, mistake.field))
        super().__init__("\n".join(map(str, self.mistakes)))


def read_presets(folder: Path = PRESETS) -> list[Scenario]:
    """Every scenario file of a folder, in the order of their names. Raises InvalidScenarioError for all of them."""
    scenarios, mistakes = [], []
    for path in sorted(folder.glob("*.yaml")):
        try:
            scenarios.append(read_file(path))
        except InvalidScenarioError as error:
            mistakes += error.mistakes
    if mistakes:
        raise InvalidScenarioError(mistakes)
    return scenarios


def read_file(path: Path) -> Scenario:
    """The scenario of one file, which is named after its id."""
    scenario = read_text(path.read_text("utf-8"), str(path.name))
    if scenario.id != path.stem:
        reason = f"the file is called {path.name}, the scenario {scenario.id}"
        raise InvalidScenarioError([Mistake(path.name, 1, "id", reason, "Give both the same name")])
    return scenario


def read_text(text: str, file: str = "scenario.yaml") -> Scenario:
    """The scenario a text describes. Raises InvalidScenarioError."""
    lines, document = _load(text, file)
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise InvalidScenarioError(_mistake(file, lines, item) for item in error.errors()) from None
    if mistakes := [Mistake(file, lines.at(path), _dotted(path), *said) for path, *said in _sense(scenario)]:
        raise InvalidScenarioError(mistakes)
    return scenario


# --- YAML, with the line of everything ----------------------------------------------------------------------------


class _Words(yaml.SafeLoader):
    """YAML 1.2's idea of plain words: `on` and `off` are words here, and a date is text until the model reads it."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - this is how PyYAML is told
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Words.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))


class _Lines:
    """Line of every value by its path."""

    def __init__(self) -> None:
        self._found: dict[Path_, int] = {(): 1}

    def note(self, path: Path_, line: int) -> None:
        self._found[path] = line

    def at(self, path: Path_) -> int:
        """The line of a path, or of the nearest thing above it that exists."""
        while path not in self._found:
            path = path[:-1]
        return self._found[path]

    def known(self, path: Path_) -> bool:
        return path in self._found


def _load(text: str, file: str) -> tuple[_Lines, Any]:
    lines = _Lines()
    try:
        node = yaml.compose(text, Loader=_Words)
        _note(node, (), lines, file)
        document = yaml.load(text, Loader=_Words)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidScenarioError([Mistake(file, line, "-", f"not YAML: {error.problem}")]) from None
    except yaml.YAMLError as error:
        raise InvalidScenarioError([Mistake(file, 1, "-", f"not YAML: {error}")]) from None
    if not isinstance(document, dict):
        raise InvalidScenarioError([Mistake(file, 1, "-", "a scenario is a mapping: id, title, entry, steps, …")])
    return lines, document


def _note(node: yaml.Node | None, path: Path_, lines: _Lines, file: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value)
            if lines.known((*path, name)):
                said = Mistake(file, key.start_mark.line + 1, _dotted((*path, name)), "is given twice")
                raise InvalidScenarioError([said])
            lines.note((*path, name), key.start_mark.line + 1)
            _note(value, (*path, name), lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines.note((*path, number), value.start_mark.line + 1)
            _note(value, (*path, number), lines, file)


# --- what pydantic found --------------------------------------------------------------------------------------------


def _mistake(file: str, lines: _Lines, error: Any) -> Mistake:
    path = _clean(error["loc"], lines)
    reason, suggestion = _say(error)
    return Mistake(file, lines.at(path), _dotted(path), reason, suggestion)


def _clean(loc: Path_, lines: _Lines) -> Path_:
    """The path in the file: without the tags pydantic puts in for unions."""
    path: Path_ = ()
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        after_number = position > 0 and isinstance(loc[position - 1], int)
        if after_number and (part in KINDS or part in {"ExpectSend", "ExpectSkip"}):
            continue
        if part in _TAGS and not lines.known((*path, part)):
            continue
        if lines.known((*path, part)) or last:
            path = (*path, part)
    return path


_TAGS = frozenset({"duration", "until", "rule", "condition"})
"""Names pydantic's unions go by; no words of a file unless they stand there."""


def _say(error: Any) -> tuple[str, str]:
    match error["type"]:
        case "missing":
            return "is missing", ""
        case "extra_forbidden":
            return "is not a word of the scenario language", _nearest(str(error["loc"][-1]), _fields())
        case "enum" | "literal_error":
            allowed = [word.strip(" '") for word in str(error["ctx"]["expected"]).replace(" or ", ", ").split(",")]
            return f"{error['input']!r} is not one of {', '.join(allowed)}", _nearest(str(error["input"]), allowed)
        case "step":
            keys = list(error["input"]) if isinstance(error["input"], dict) else []
            hints = [hint for key in keys if (hint := _nearest(str(key), KINDS))]
            return error["msg"], hints[0] if hints and not set(keys) & set(KINDS) else ""
        case "value_error":
            return str(error["ctx"]["error"]), ""
        case "string_pattern_mismatch":
            return f"{error['input']!r} must match {error['ctx']['pattern']}", ""
        case _:
            return _TIMEDELTA.sub(lambda found: _span(found[1] or "days", int(found[2])), str(error["msg"])), ""


_TIMEDELTA = re.compile(r"datetime\.timedelta\((?:(days|seconds)=)?(\d+)\)")


def _span(unit: str, number: int) -> str:
    return format_duration(timedelta(**{unit: number}))


def _fields() -> set[str]:
    parts = [part for part in vars(model).values() if isinstance(part, type) and issubclass(part, BaseModel)]
    return {field.alias or name for part in parts for name, field in part.model_fields.items()}


def _nearest(word: str, words: Iterable[str]) -> str:
    found = get_close_matches(word, list(words), n=1)
    return f"Did you mean {str(found[0])!r}?" if found else ""


def _dotted(path: Path_) -> str:
    return ".".join(map(str, path)) or "-"


# --- what makes no sense although every word is right ---------------------------------------------------------------

Said = tuple[Path_, str, str]


def _sense(scenario: Scenario) -> Iterator[Said]:
    yield from _entry(scenario)
    yield from _names(scenario.steps, ("steps",), {})
    yield from _path(scenario.steps, ("steps",), ends=True)
    yield from _reactions(scenario)
    if not scenario.sends():
        yield ("steps",), "nothing is ever sent", "Add a `send` step"
    if (period := scenario.period) and period.from_ and period.until and period.from_ > period.until:
        yield ("period",), "ends before it begins", "Exchange `from` and `until`"
    yield from _examples(scenario)


def _entry(scenario: Scenario) -> Iterator[Said]:
    entry, at = scenario.entry, ("entry",)
    given, belongs = entry.model_fields_set, BELONGS[entry.event]
    for name, words in Entry.model_fields.items():
        word = words.alias or name
        if name in given and word not in (*belongs, *_OF_EVERY_ENTRY):
            fits = [event.value for event, fields in BELONGS.items() if word in fields]
            yield (*at, word), f"says nothing about {entry.event.value}", f"It belongs to {', '.join(fits)}"
    for word in NEEDS.get(entry.event, ()):
        name = next(name for name, field in Entry.model_fields.items() if word in {name, field.alias})
        if name not in given:
            yield at, f"{word!r} is missing: {entry.event.value} needs it", f"Add `{word}`"
    if entry.event is Trigger.CART_ABANDONED and "after" in given and not entry.after:
        yield (*at, "after"), "must be greater than 0: a cart is abandoned when it was left alone", ""
    rules = {ExitRule.CART_COMPLETED, ExitRule.CART_EMPTIED} & {
        r for r in scenario.exit_when if isinstance(r, ExitRule)
    }
    if entry.event is not Trigger.CART_ABANDONED and rules:
        yield ("exit_when",), f"{sorted(rules)[0].value} can never apply: no cart lets anybody in", "Remove it"


_OF_EVERY_ENTRY = ("event", "after", "expires_after", "where")


def _names(steps: tuple[Step, ...], at: Path_, seen: dict[str, Path_]) -> Iterator[Said]:
    for number, step in enumerate(steps):
        here = (*at, number)
        if isinstance(step, Send | Branch | Split | WaitFor):
            name = step_name(step)
            if name in seen or name in RESERVED:
                yield here, f"the step name {name!r} is taken", "Every send and branch needs a name of its own"
            seen[name] = here
        if isinstance(step, Exit) and step.exit in RESERVED:
            yield here, f"the step name {step.exit!r} is taken", "Choose another word for the exit"
        if isinstance(step, FORKS):
            for arm, path in step.paths():
                if not (isinstance(step, Split) and arm == HOLDOUT):
                    yield from _names(path, (*here, *_arm(step, arm)), seen)


RESERVED = frozenset({ENTRY, HOLDOUT, "end"})


def _path(steps: tuple[Step, ...], at: Path_, *, ends: bool) -> Iterator[Said]:
    """`ends`: nothing follows these steps, so that a wait at their end would be for nothing."""
    for number, step in enumerate(steps):
        here, last = (*at, number), number == len(steps) - 1
        if not last and _always_ends(step):
            yield (*at, number + 1), "is never reached: everyone has left by the step before", "Remove it or the exit"
        match step:
            case Wait() if last and ends:
                yield here, "nothing happens after this wait", "Remove it, or add what it waits for"
            case Wait() if isinstance(step.wait, WaitUntil) and not step.wait.model_fields_set:
                yield here, "waits for nothing", "Give it `for`, `until` or `on`"
            case Branch():
                yield from _branch(step, here, ends=ends and last)
            case Split():
                yield from _split(step, here, ends=ends and last)
            case WaitFor():
                yield from _wait_for(step, here, ends=ends and last)
            case _:
                pass


def _always_ends(step: Step) -> bool:
    """Does everyone who comes here leave?"""
    if isinstance(step, Exit):
        return True
    return isinstance(step, FORKS) and all(any(map(_always_ends, path)) for _, path in step.paths())


def _branch(branch: Branch, at: Path_, *, ends: bool) -> Iterator[Said]:
    if (branch.on is None) == (branch.when is None):
        yield at, "a branch has either `on` or `when`", "Keep the one that says what it looks at"
    allowed = ARMS[branch.on] if branch.on else tuple(branch.when or ())
    for arm in branch.arms:
        if branch.on and arm not in allowed:
            reason = f"{branch.on.value} is never {arm!r}, only {', '.join(allowed)} (anything else goes to `else`)"
            yield (*at, "arms", arm), reason, _nearest(arm, allowed)
        elif arm not in allowed:
            yield (*at, "arms", arm), f"no condition leads to the arm {arm!r}", _nearest(arm, allowed)
    for name in branch.when or ():
        if name not in branch.arms:
            yield (*at, "when", name), f"there is no arm {name!r}", _nearest(name, branch.arms)
    for name, condition in (branch.when or {}).items():
        yield from _condition(condition, (*at, "when", name))
    yield from _arms(branch, at, ends=ends)


def _split(split: Split, at: Path_, *, ends: bool) -> Iterator[Said]:
    if (total := sum(split.shares.values())) != 100:
        yield (*at, "shares"), f"the shares add up to {total}, not to 100", "They are percent"
    for arm in sorted(set(split.shares) - {HOLDOUT} - set(split.arms)):
        yield (*at, "shares", arm), f"there is no arm {arm!r}", _nearest(arm, split.arms)
    for arm in sorted(set(split.arms) - (set(split.shares) - {HOLDOUT})):
        reason = "whoever is held out gets nothing" if arm == HOLDOUT else f"nobody ever comes to the arm {arm!r}"
        yield (*at, "arms", arm), reason, "Remove it" if arm == HOLDOUT else "Give it a share"
    yield from _arms(split, at, ends=ends)


def _wait_for(wait: WaitFor, at: Path_, *, ends: bool) -> Iterator[Said]:
    if wait.checks > MAX_CHECKS:
        least = format_duration(wait.timeout / MAX_CHECKS)
        reason = f"would be looked at {wait.checks} times, more than {MAX_CHECKS}"
        yield (*at, "check_every"), reason, f"Make it {least} or more"
    yield from _condition(wait.when, (*at, "when"))
    yield from _arms(wait, at, ends=ends)


MAX_CHECKS = 8
"""Looks of one `wait_for`: what follows it is compiled once for each."""


def _arms(fork: Fork, at: Path_, *, ends: bool) -> Iterator[Said]:
    for arm, path in fork.paths():
        if not (isinstance(fork, Split) and arm == HOLDOUT):
            yield from _path(path, (*at, *_arm(fork, arm)), ends=ends)


def _arm(fork: Fork, arm: str) -> Path_:
    return (arm,) if arm == OTHERWISE or isinstance(fork, WaitFor) else ("arms", arm)


def _condition(condition: Condition, at: Path_) -> Iterator[Said]:
    if not condition.model_fields_set:
        yield at, "says nothing", "Name what it looks at, such as `ordered: {}`"
    for word, inner in (("all", condition.all_), ("any", condition.any_), ("none", condition.none_)):
        for number, each in enumerate(inner):
            yield from _condition(each, (*at, word, number))


def _reactions(scenario: Scenario) -> Iterator[Said]:
    """An opening can only be asked of a send that has gone before."""
    sends = {send.send for send in scenario.sends()}

    def asked(condition: Condition, at: Path_, before: set[str]) -> Iterator[Said]:
        for name in {each for part in condition.parts() for each in (part.opened, part.clicked) if each}:
            if name not in sends:
                yield at, f"there is no send step {name!r}", _nearest(name, sends)
            elif name not in before:
                yield at, f"can never hold: {name!r} is not sent before this", "Ask after the send"

    def way(steps: tuple[Step, ...], at: Path_, before: set[str]) -> Iterator[Said]:
        for number, step in enumerate(steps):
            here = (*at, number)
            if isinstance(step, Branch):
                for name, condition in (step.when or {}).items():
                    yield from asked(condition, (*here, "when", name), before)
            if isinstance(step, WaitFor):
                yield from asked(step.when, (*here, "when"), before)
            if isinstance(step, FORKS):
                for arm, path in step.paths():
                    yield from way(path, (*here, *_arm(step, arm)), set(before))
            before |= {each.send for each in walk((step,)) if isinstance(each, Send)}

    yield from way(scenario.steps, ("steps",), set())
    if scenario.entry.where:
        yield from asked(scenario.entry.where, ("entry", "where"), set())
    for at, condition in [(("goal",), scenario.goal), *((("exit_when",), rule) for rule in scenario.exit_when)]:
        if isinstance(condition, Condition):
            yield from asked(condition, at, sends)


def _examples(scenario: Scenario) -> Iterator[Said]:
    steps = {send.send for send in scenario.sends()}
    held_out = any(isinstance(step, Split) and HOLDOUT in step.shares for step in walk(scenario.steps))
    expected = [expect for example in scenario.examples for expect in example.expect]
    for kind, word in ((ExpectSend, "send"), (ExpectSkip, "skip")):
        if not any(isinstance(expect, kind) for expect in expected):
            yield ("examples",), f"no example expects a {word}", f"Show at least one case with a {word}"
    for number, example in enumerate(scenario.examples):
        for position, expect in enumerate(example.expect):
            here = ("examples", number, "expect", position)
            step = expect.send if isinstance(expect, ExpectSend) else expect.skip
            known = steps if isinstance(expect, ExpectSend) else steps | {ENTRY} | ({HOLDOUT} if held_out else set())
            if step not in known:
                yield here, f"there is no send step {step!r}", _nearest(step, known)
            if isinstance(expect, ExpectSkip) and expect.reason not in REASONS:
                yield (*here, "reason"), f"{expect.reason!r} is no reason", _nearest(expect.reason, REASONS)
