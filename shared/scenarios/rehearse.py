"""Runs a compiled machine in this process, in virtual time: examples, tests and (later) replay see the same machine
that AWS runs, with the same step code, and nobody waits.

Understands exactly what compile.py writes; anything else is an error, never ignored. That real Step Functions
semantics agree is shown by the contract and system suites.
"""

from __future__ import annotations

import copy
import heapq
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from shared.core.clock import FixedClock, from_iso
from shared.core.errors import MatakiteError
from shared.scenarios.compile import Machine, State

Run = Generator[datetime, None, Any]
"""Yields the instants it sleeps until; returns its output."""


@dataclass
class Timeline:
    """Things that happen at instants, one after the other, on a clock that jumps from each to the next."""

    clock: FixedClock
    _queue: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)

    def at(self, instant: datetime, do: Callable[[], None]) -> None:
        """Let something happen then; what is planned first happens first."""
        heapq.heappush(self._queue, (max(instant, self.clock.at), next(self._order), do))

    def start(self, run: Run) -> None:
        """Let a machine run, from now."""
        self.at(self.clock.at, lambda: self._advance(run))

    def play(self) -> None:
        """Until nothing is left to happen."""
        while self._queue:
            self.clock.at, _, do = heapq.heappop(self._queue)
            do()

    def _advance(self, run: Run) -> None:
        try:
            self.at(next(run), lambda: self._advance(run))
        except StopIteration:
            return


@dataclass(frozen=True)
class Rehearsal:
    """What a machine needs to run here."""

    step: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    """The step function."""
    read_file: Callable[[str], Any]
    """A JSON file of the work bucket."""
    clock: FixedClock
    retried: tuple[type[BaseException], ...] = (MatakiteError,)
    """What the machine's Retry sees as a failed task."""
    entered: Callable[[str], None] = lambda _: None
    """Told of every state that is entered: what a transition costs."""

    def run(self, machine: Machine, document: Any) -> Run:
        """One execution, or one branch of one."""
        name, data = machine["StartAt"], copy.deepcopy(document)
        while name:
            state = machine["States"][name]
            self.entered(name)
            name, data = yield from self._enter(state, data)
        return data

    def _enter(self, state: State, data: Any) -> Generator[datetime, None, tuple[str | None, Any]]:
        following = state.get("Next")
        match state["Type"]:
            case "Succeed":
                return None, data
            case "Choice":
                return _choose(state, data)
            case "Wait":
                yield self.clock.now() + timedelta(seconds=self._seconds(state, data))
                return following, _output(state, data)
            case "Pass":
                return following, _output(state, data)
            case "Task":
                return following, (yield from self._task(state, data))
            case "Map":
                return following, _placed(state, data, (yield from self._map(state, data)))
            case "Parallel":
                runs = [self.run(branch, data) for branch in state["Branches"]]
                return following, _placed(state, data, (yield from _together(runs)))
            case other:
                raise NotImplementedError(f"no state of type {other} is compiled")

    def _seconds(self, state: State, data: Any) -> float:
        if "SecondsPath" in state:
            return float(_at(state["SecondsPath"], data))
        found = _LEFT.fullmatch(state["Seconds"])
        if found is None:
            raise NotImplementedError(f"not a wait that is compiled: {state['Seconds']}")
        wait = int(found[1]) if found[1] else _at(f"$.{found[2]}", data)
        late = (self.clock.now() - from_iso(_at(f"$.{found[3]}", data))) // timedelta(seconds=1)
        return max(0, wait - max(0, late))

    def _task(self, state: State, data: Any) -> Run:
        answer = yield from self._attempts(state, data)
        kept = _filled(state.get("ResultSelector", {}), {"Payload": answer}, {})
        output = _placed(state, data, kept)
        return _at(state["OutputPath"], output) if "OutputPath" in state else output

    def _attempts(self, state: State, data: Any) -> Run:
        retry = state["Retry"][-1]
        attempt = 0
        while True:
            try:
                return self.step(_filled(state["Parameters"], data, {"State": {"RetryCount": attempt}})["Payload"])
            except self.retried:
                if attempt == retry["MaxAttempts"]:
                    raise
            yield self.clock.now() + timedelta(seconds=retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt)
            attempt += 1

    def _map(self, state: State, data: Any) -> Run:
        where = _filled(state["ItemReader"]["Parameters"], data, {})
        results = []
        for item in self.read_file(where["Key"]):
            context = {"Map": {"Item": {"Value": item}}}
            results.append((yield from self.run(state["ItemProcessor"], _filled(state["ItemSelector"], data, context))))
        return results


def _together(runs: list[Run]) -> Run:
    """Side by side: sleeps until whoever wakes first."""
    wakes: dict[int, datetime] = {}
    results: list[Any] = [None] * len(runs)

    def advance(number: int) -> None:
        try:
            wakes[number] = next(runs[number])
        except StopIteration as end:
            wakes.pop(number, None)
            results[number] = end.value

    for number in range(len(runs)):
        advance(number)
    while wakes:
        number = min(wakes, key=lambda n: (wakes[n], n))
        yield wakes[number]
        advance(number)
    return results


def _output(state: State, data: Any) -> Any:
    return _jsonata(state["Output"], data) if "Output" in state else data


def _choose(state: State, data: Any) -> tuple[str, Any]:
    for rule in state["Choices"]:
        if "Condition" in rule:
            if _jsonata(rule["Condition"], data):
                return rule["Next"], _jsonata(rule["Output"], data)
        elif _holds(rule, data):
            return rule["Next"], data
    return state["Default"], data


def _holds(rule: State, data: Any) -> bool:
    value = _at(rule["Variable"], data)
    if "NumericEquals" in rule:
        return bool(value == rule["NumericEquals"])
    return bool(value > rule["NumericGreaterThan"])


def _filled(template: Any, data: Any, context: Mapping[str, Any]) -> Any:
    """`Parameters`: fields whose name ends in `.$` are paths."""
    if not isinstance(template, dict):
        return template
    return {
        name.removesuffix(".$"): _at(value, data, context) if name.endswith(".$") else _filled(value, data, context)
        for name, value in template.items()
    }


def _placed(state: State, data: Any, result: Any) -> Any:
    path = state.get("ResultPath", "$")
    if path is None:
        return data
    return result if path == "$" else {**data, path.removeprefix("$."): result}


def _at(path: str, data: Any, context: Mapping[str, Any] | None = None) -> Any:
    value = data
    if path.startswith("$$"):
        path, value = path[1:], context
    for part in path.split(".")[1:]:
        value = value[part]
    return copy.deepcopy(value)


# --- the JSONata that compile.py writes ---

_INPUT = r"\$states\.input\.([a-z_.]+)"
_LOOKUP = rf"\$lookup\({_INPUT}, '([a-z0-9_]+)'\)"
_LATER = rf"\$fromMillis\(\$toMillis\({_INPUT}\) \+ (?:(\d+)|{_INPUT}) \* 1000\)"
_LATE = rf"\$max\(\[0, \$floor\(\(\$millis\(\) - \$toMillis\({_INPUT}\)\) / 1000\)\]\)"
_LEFT = re.compile(rf"{{% \$max\(\[0, (?:(\d+)|{_INPUT}) - {_LATE}\]\) %}}")
_FORMS: list[tuple[re.Pattern[str], Callable[[re.Match[str], Any], Any]]] = []


def _form(pattern: str) -> Callable[[Callable[[re.Match[str], Any], Any]], None]:
    def keep(meaning: Callable[[re.Match[str], Any], Any]) -> None:
        _FORMS.append((re.compile(pattern), meaning))

    return keep


def _jsonata(expression: str, data: Any) -> Any:
    text = expression.removeprefix("{%").removesuffix("%}").strip()
    for pattern, meaning in _FORMS:
        if found := pattern.fullmatch(text):
            return meaning(found, data)
    raise NotImplementedError(f"not an expression that is compiled: {expression}")


@_form(_INPUT)
def _value(found: re.Match[str], data: Any) -> Any:
    return _at(f"$.{found[1]}", data)


@_form("null")
def _null(_: re.Match[str], __: Any) -> None:
    return None


@_form(_LOOKUP)
def _lookup(found: re.Match[str], data: Any) -> Any:
    return _at(f"$.{found[1]}", data)[found[2]]


@_form(rf"({_LOOKUP})\.size > 0")
def _anyone(found: re.Match[str], data: Any) -> bool:
    return bool(_jsonata(found[1], data)["size"] > 0)


@_form(_LATER)
def _moved(found: re.Match[str], data: Any) -> str:
    seconds = int(found[2]) if found[2] else _at(f"$.{found[3]}", data)
    moved = from_iso(_at(f"$.{found[1]}", data)) + timedelta(seconds=seconds)
    # $fromMillis writes milliseconds.
    return moved.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@_form(r"\$merge\(\[\$states\.input, \{(.*)\}\]\)")
def _merged(found: re.Match[str], data: Any) -> Any:
    pairs = re.findall(rf"'([a-z_]+)': ({_LATER}|{_LOOKUP}|null)(?:, |$)", found[1])
    if not pairs:
        raise NotImplementedError(f"not an object that is compiled: {found[1]}")
    return {**data, **{pair[0]: _jsonata(pair[1], data) for pair in pairs}}
