"""What makes no sense in a scenario file although every word is right (定義の検査): path, reason, suggestion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from shared.core.lined_yaml import Path_
from shared.core.mistakes import nearest
from shared.scenarios.language.conditions import AttributeIs, Condition, Numbers
from shared.scenarios.language.entries import BELONGS, NEEDS, Entry, Trigger
from shared.scenarios.language.examples import ENTRY, ExpectSend, ExpectSkip
from shared.scenarios.language.steps import (
    ARMS,
    FORKS,
    HANDOVERS,
    HOLDOUT,
    OTHERWISE,
    Branch,
    Exit,
    Fork,
    Moment,
    Send,
    Split,
    Step,
    Wait,
    WaitFor,
    WaitUntil,
    step_name,
    walk,
)
from shared.scenarios.language.words import format_duration
from shared.scenarios.model import REASONS, ExitRule, Period, Scenario

Said = tuple[Path_, str, str]
"""Where, what is wrong, and what to do."""


def sense(scenario: Scenario) -> Iterator[Said]:
    """Everything in a file that no one word is wrong about."""
    yield from _entry(scenario)
    if (places := count_places(scenario.steps)) > MAX_PLACES:
        reason = f"comes to {places} steps, more than {MAX_PLACES}: every branch repeats what follows it in each arm"
        yield ("steps",), reason, "Put branches last, or use fewer arms"
        return
    if (wait := longest_wait(scenario.steps)) > MAX_WAIT:
        yield ("steps",), f"waits {wait.days}d in all, more than {MAX_WAIT.days}d", "Shorten the waits"
    yield from _names(scenario.steps, ("steps",), {})
    yield from _path(scenario.steps, ("steps",), ends=True)
    yield from _reactions(scenario)
    if not scenario.sends():
        yield ("steps",), "nothing is ever sent", "Add a `send` step"
    for number, rule in enumerate(scenario.exit_when):
        if rule in scenario.exit_when[:number]:
            yield ("exit_when", number), "is given twice", "Remove one of them"
    yield from _period(scenario.period)
    for at, condition in _conditions(scenario):
        yield from _condition(condition, at)
    yield from _examples(scenario)


def _period(period: Period | None) -> Iterator[Said]:
    if period and not period.model_fields_set:
        yield ("period",), "says nothing", "Give it `from`, `until` or both"
    if period and period.from_ and period.until and period.from_ > period.until:
        yield ("period",), "ends before it begins", "Exchange `from` and `until`"


def _conditions(scenario: Scenario) -> Iterator[tuple[Path_, Condition]]:
    """Those that no step asks."""
    if scenario.entry.where:
        yield ("entry", "where"), scenario.entry.where
    if scenario.goal:
        yield ("goal",), scenario.goal
    for number, rule in enumerate(scenario.exit_when):
        if isinstance(rule, Condition):
            yield ("exit_when", number), rule


MAX_PLACES = 600
"""Steps of a scenario, what follows a fork counted in each of its arms: each becomes a state at least."""
MAX_WAIT = timedelta(days=360)
"""A Standard execution lives a year at most."""


def count_places(steps: tuple[Step, ...], after: int = 0) -> int:
    """Steps that they become, with what follows each fork in every arm; `after` them come so many more."""
    for step in reversed(steps):
        if isinstance(step, FORKS):
            looks = step.checks if isinstance(step, WaitFor) else 1
            arms = {arm: count_places(path, after) for arm, path in step.paths()}
            after = looks * (1 + sum(arms.values())) - (looks - 1) * arms.get(OTHERWISE, 0)
        else:
            after += 1
    return after


def longest_wait(steps: tuple[Step, ...]) -> timedelta:
    """The waits on the slowest way through."""
    total = timedelta(0)
    for step in steps:
        match step:
            case Wait():
                total += step.longest
            case WaitFor():
                total += step.timeout + max(longest_wait(path) for _, path in step.paths())
            case Branch() | Split():
                total += max(longest_wait(path) for _, path in step.paths())
            case _:
                pass
    return total


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
        yield (
            (*at, "after"),
            "must be greater than 0: a cart is abandoned when it was left alone",
            "Give it a time such as 1h",
        )
    if entry.expires_after < scenario.sweep_every:
        reason = f"is shorter than `sweep_every` ({format_duration(scenario.sweep_every)}): most would be too late"
        yield (*at, "expires_after"), reason, "Make it longer, or collect more often"
    yield from _paths(entry.path, at)
    rules = {ExitRule.CART_COMPLETED, ExitRule.CART_EMPTIED} & {
        r for r in scenario.exit_when if isinstance(r, ExitRule)
    }
    if entry.event is not Trigger.CART_ABANDONED and rules:
        yield ("exit_when",), f"{sorted(rules)[0].value} can never apply: no cart lets anybody in", "Remove it"


_OF_EVERY_ENTRY = ("event", "after", "expires_after", "where")


def _names(steps: tuple[Step, ...], at: Path_, seen: dict[str, Path_]) -> Iterator[Said]:
    for number, step in enumerate(steps):
        here = (*at, number)
        if isinstance(step, Send) and len(set(step.channel)) < len(step.channel):
            yield (*here, "channel"), "names a channel twice", "Name each once, the first choice first"
        if isinstance(step, (Send, *HANDOVERS, *FORKS)):
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
            case Wait() if isinstance(step.wait, Moment):
                yield from _moment(step.wait, steps[number + 1 :], here, ends=ends)
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


def _moment(moment: Moment, rest: tuple[Step, ...], at: Path_, *, ends: bool) -> Iterator[Said]:
    if not rest or not isinstance(rest[0], Send):
        yield at, f"{moment.value} is a time to send at", "Put a `send` right after it"
    elif moment is Moment.NEXT_ORDER and not (ends and len(rest) == 1):
        yield at, "everybody would wait for the last one's next order", "Let nothing follow the send after it"


def _always_ends(step: Step) -> bool:
    """Does everyone who comes here leave?"""
    if isinstance(step, Exit):
        return True
    return isinstance(step, FORKS) and all(any(map(_always_ends, path)) for _, path in step.paths())


def _branch(branch: Branch, at: Path_, *, ends: bool) -> Iterator[Said]:
    if (branch.on is None) == (branch.when is None):
        yield at, "a branch has either `on` or `when`", "Keep the one that says what it looks at"
    allowed = ARMS.get(branch.on, tuple(branch.arms)) if branch.on else tuple(branch.when or ())
    for arm in branch.arms:
        if branch.on and arm not in allowed:
            reason = f"{branch.on.value} is never {arm!r}, only {', '.join(allowed)} (anything else goes to `else`)"
            yield (*at, "arms", arm), reason, _one_of(arm, allowed)
        elif arm not in allowed:
            yield (*at, "arms", arm), f"no condition leads to the arm {arm!r}", _one_of(arm, allowed)
    for name in branch.when or ():
        if name not in branch.arms:
            yield (*at, "when", name), f"there is no arm {name!r}", _one_of(name, branch.arms)
    for name, condition in (branch.when or {}).items():
        yield from _condition(condition, (*at, "when", name))
    yield from _arms(branch, at, ends=ends)


def _split(split: Split, at: Path_, *, ends: bool) -> Iterator[Said]:
    if (total := sum(split.shares.values())) != 100:
        yield (*at, "shares"), f"the shares add up to {total}, not to 100", "They are percent"
    for arm in sorted(set(split.shares) - {HOLDOUT} - set(split.arms)):
        yield (*at, "shares", arm), f"there is no arm {arm!r}", _one_of(arm, split.arms)
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
    if condition.orders:
        yield from _limits(condition.orders, (*at, "orders"))
    if condition.attribute:
        yield from _limits(condition.attribute, (*at, "attribute"))
    if condition.viewed:
        yield from _paths(condition.viewed.path, (*at, "viewed"))
    for word, inner in (("all", condition.all_), ("any", condition.any_), ("none", condition.none_)):
        for number, each in enumerate(inner):
            yield from _condition(each, (*at, word, number))


def _limits(asked: Numbers | AttributeIs, at: Path_) -> Iterator[Said]:
    if not asked.model_fields_set - {"name"}:
        words = [field.alias or name for name, field in type(asked).model_fields.items() if name != "name"]
        yield at, "asks nothing", f"Give it one of {', '.join(words)}"
    if asked.at_least is not None and asked.at_most is not None and asked.at_least > asked.at_most:
        yield at, "can never hold: `at_least` is more than `at_most`", "Exchange them"


def _paths(paths: tuple[str, ...] | None, at: Path_) -> Iterator[Said]:
    """Of pages: as the tracking snippet tells them."""
    for path in paths or ():
        if not path.startswith(("/", "*")):
            yield (*at, "path"), f"{path!r} is no path of a page", "Begin it with `/`, as in /products/*"


def _reactions(scenario: Scenario) -> Iterator[Said]:
    """An opening can only be asked of a send that has gone before."""
    sends = {send.send for send in scenario.sends()}

    def asked(condition: Condition, at: Path_, before: set[str]) -> Iterator[Said]:
        for name in {each for part in condition.parts() for each in (part.opened, part.clicked) if each}:
            if name not in sends:
                yield at, f"there is no send step {name!r}", _one_of(name, sends)
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
    for at, condition in _conditions(scenario):
        yield from asked(condition, at, set() if at[0] == "entry" else sends)


def _examples(scenario: Scenario) -> Iterator[Said]:
    steps = {send.send for send in scenario.messages()}
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
                yield here, f"there is no send step {step!r}", _one_of(step, known)
            if isinstance(expect, ExpectSkip) and expect.reason not in REASONS:
                yield (*here, "reason"), f"{expect.reason!r} is no reason", _one_of(expect.reason, REASONS)


def _one_of(word: str, words: Iterable[str]) -> str:
    known = sorted(map(str, words))
    return nearest(word, known) or (f"There are {', '.join(known)}" if known else "There is none: remove it")
