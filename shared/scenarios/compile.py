"""Compiles a scenario to an Amazon States Language machine (Step Functions Standard) that moves a cohort.

Input of an execution (ids, counts and times only; nothing in its history says who anybody is):

    {"tenant", "execution", "scheduled_at", "arrived_at", "cohort": {"bucket", "key", "part", "size", "batches"}}

The scenario, its version and everything a step needs to know are part of the machine, so an execution finishes by the
definition it was started with.

- A step on one batch of people is one Lambda call; on many batches a Distributed Map over the list of batches in S3,
  then one call that puts the batches' answers together. Cost grows with batches, not with people.
- The first step also claims the people (`enter`), so that an execution that dies before it leaves them due.
- A `branch` writes one sub-cohort per arm and goes on in a Parallel, in which every arm carries the rest of its own
  way: nobody waits for the others. What follows the branch in the file is therefore compiled once per arm.
- `scheduled_at` is carried along: the tick, plus the waits so far, plus deferrals (quiet hours, a busy provider).
  `arrived_at` is the same without the deferrals of the present step: what lateness is measured from.
- There is no Catch: an execution that fails, fails at its step, so that Redrive continues exactly there (a Catch to a
  Fail state could only be redriven into that Fail state). The ledger and the enrolments make repeating harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from shared.core.errors import RejectedError
from shared.core.ids import digest
from shared.scenarios.language.conditions import Condition
from shared.scenarios.language.entries import Trigger
from shared.scenarios.language.steps import (
    Branch,
    Couponing,
    Exit,
    Export,
    Moment,
    Notify,
    Send,
    Split,
    Step,
    Tagging,
    Wait,
    WaitFor,
    WaitUntil,
    Webhook,
    step_kind,
    step_name,
    wait_text,
)
from shared.scenarios.language.words import format_duration
from shared.scenarios.model import ExitRule, LiveStatus, Scenario
from shared.scenarios.trigger import dump_again

State = dict[str, Any]
Machine = dict[str, Any]

PARK_AFTER = 3
"""Attempts after which a person on whom a step breaks is put aside (`attempt` of the step's input)."""
MAX_STATES = 600

MANY = -1
"""What a send answers for `defer_seconds` when it is asked about a whole cohort of many batches."""

END = "end"
"""The exit of a way that simply ends."""

_CARRIED = {f"{key}.$": f"$.{key}" for key in ("tenant", "execution", "scheduled_at", "arrived_at")}
_ONE_BATCH = {"key.$": "$.cohort.key", "part.$": "$.cohort.part", "index": "0"}
_ANSWERS = {"send": "defer_seconds", "branch": "arms"}
"""What the machine needs back from a step."""

# About 2 minutes of retries (2+4+8+16+32+60 s, jittered) for Lambda itself, 70 s (10+20+40) for everything else.
# What takes longer, a busy provider or quiet hours, is a deferral that the step answers, not an error.
_RETRY: list[State] = [
    {
        "ErrorEquals": [
            "Lambda.ServiceException",
            "Lambda.AWSLambdaException",
            "Lambda.SdkClientException",
            "Lambda.TooManyRequestsException",
        ],
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxAttempts": 6,
        "MaxDelaySeconds": 60,
        "JitterStrategy": "FULL",
    },
    {
        "ErrorEquals": ["States.TaskFailed", "States.Timeout"],
        "IntervalSeconds": 10,
        "BackoffRate": 2,
        "MaxAttempts": PARK_AFTER,
    },
]


@dataclass(frozen=True, slots=True)
class Options:
    """How the machine does its work; not part of what the scenario means."""

    children: Literal["EXPRESS", "STANDARD"] = "EXPRESS"
    """Kind of the Distributed Map's child executions. Express may run twice: harmless behind the ledger."""
    concurrency: int = 10
    """Batches worked on at once: the pace, changed live with UpdateMapRun."""
    step_timeout_seconds: int = 240
    """Below the 5 minutes an Express child may take."""


def compile_scenario(
    scenario: Scenario, step_function_arn: str, options: Options | None = None, others: Iterable[Scenario] = ()
) -> Machine:
    """The state machine of a scenario; `others` are those that may want the same people.

    Raises RejectedError when it would outgrow Step Functions.
    """
    machine = _Compiler(scenario, step_function_arn, options or Options(), scenario.above(others)).machine()
    if (count := count_states(machine)) > MAX_STATES:
        raise RejectedError(
            f"scenario {scenario.id} compiles to {count} states, more than {MAX_STATES}: "
            "every branch repeats what follows it in each arm; put branches last, or use fewer arms"
        )
    return machine


def count_states(machine: Machine) -> int:
    """States of a machine, those inside Parallel and Map included."""
    inner = [
        count_states(part)
        for state in machine["States"].values()
        for part in [*state.get("Branches", ()), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]
    ]
    return len(machine["States"]) + sum(inner)


@dataclass
class _Lane:
    """One way under construction: its states, in order, under names that begin with the arms taken so far."""

    prefix: str
    coupon: str = ""
    """The campaign that was promised last."""
    states: dict[str, State] = field(default_factory=dict)

    def name(self, text: str) -> str:
        """Unique in the machine, as Step Functions wants it even across Parallel branches; at most 80 characters."""
        full = f"{self.prefix}{text}"
        return full if len(full) <= 80 else f"{full[:70]} {digest(full)[:8]}"

    def add(self, name: str, state: State) -> None:
        """Add a state. Two of one name would silently replace each other."""
        if name in self.states:
            raise AssertionError(f"two states are called {name!r}")
        self.states[name] = state


@dataclass(frozen=True)
class _Compiler:
    scenario: Scenario
    function: str
    options: Options
    above: tuple[str, ...]

    def machine(self) -> Machine:
        lane = _Lane("")
        start = self._way(lane, self.scenario.steps, enter=True)
        title = f"{self.scenario.title} ({self.scenario.id}, version {self.scenario.version})"
        return {"Comment": title, "StartAt": start, "States": lane.states}

    def _way(self, lane: _Lane, steps: tuple[Step, ...], *, enter: bool = False) -> str:
        """Add the states of these steps; the name of the first."""
        step, rest = (steps[0], steps[1:]) if steps else (Exit(exit=END), ())
        match step:
            case Wait() if enter:
                return self._task(lane, "enter", {"action": "enter"}, lambda: self._way(lane, steps), enter=True)
            case Wait(wait=Moment() as at) if isinstance(rest[0], Send):
                return self._send(lane, rest[0], rest[1:], enter=enter, at=at)
            case Wait(wait=WaitUntil() as until):
                return self._wait_until(lane, step, until, rest)
            case Wait(wait=timedelta() as span):
                return self._wait(lane, span, rest)
            case Wait():
                raise AssertionError("a person's own moment is followed by a send")
            case Send():
                return self._send(lane, step, rest, enter=enter)
            case Branch() | Split():
                return self._fork(lane, step, rest, enter=enter)
            case WaitFor():
                return self._way(lane, step.rounds() + rest, enter=enter)
            case Notify() | Webhook() | Export():
                return self._send(lane, step.as_send, rest, enter=enter)
            case Tagging() | Couponing():
                lane.coupon = step.coupon if isinstance(step, Couponing) else lane.coupon
                kind, word = str(step_kind(step)), step_name(step)
                call = {"action": kind, "step": f"{kind} {word}", kind: word, **self._stage()}
                name = f"{kind} {word} ({len(lane.states)})"
                return self._task(lane, name, call, lambda: self._way(lane, rest), enter=enter)
            case Exit():
                return self._task(lane, f"exit {step.exit}", {"action": "exit", "step": step.exit}, None, enter=enter)

    def _wait(self, lane: _Lane, span: timedelta, rest: tuple[Step, ...]) -> str:
        name = lane.name(f"wait {format_duration(span)} ({len(lane.states)})")
        seconds = int(span.total_seconds())
        lane.add(name, {"Type": "Wait", **_left(seconds), **_moved_on(seconds, "scheduled_at", "arrived_at")})
        lane.states[name]["Next"] = self._way(lane, rest)
        return name

    def _wait_until(self, lane: _Lane, wait: Wait, until: WaitUntil, rest: tuple[Step, ...]) -> str:
        """One call for the whole cohort says how long it is: weekdays and holidays are the shop's."""
        ask, name = (lane.name(f"{word} {wait_text(wait)} ({len(lane.states)})") for word in ("ask", "wait"))
        call = {"action": "until", "step": "wait", "until": until.model_dump(mode="json", by_alias=True)}
        lane.add(ask, {**self._invoke({**call, **self._pinned(), "lane": lane.prefix}, answer="defer_seconds")})
        lane.states[ask]["Next"] = name
        seconds = "$states.input.answer.defer_seconds"
        lane.add(name, {"Type": "Wait", **_left(seconds), **_moved_on(seconds, "scheduled_at", "arrived_at")})
        lane.states[name]["Next"] = self._way(lane, rest)
        return ask

    def _send(self, lane: _Lane, send: Send, rest: tuple[Step, ...], *, enter: bool, at: Moment | None = None) -> str:
        call = {
            "action": "send",
            "step": send.send,
            "send": {
                "channels": list(send.channel),
                "template": send.template,
                "purpose": send.purpose.value,
                "expires_after_seconds": int(send.expires_after.total_seconds()),
                "staged": bool(self._stage()),
                "last": not rest,
                **({"at": at.value} if at else {}),
                **({"above": list(self.above)} if self.above else {}),
                **({"coupon": lane.coupon} if self.scenario.coupons_before(send.send) else {}),
            },
        }
        asked, later, again = (lane.name(f"{send.send} {word}") for word in ("done?", "later", "again"))
        start = self._task(lane, send.send, call, lambda: asked, enter=enter, gather=True, asks=False)
        many = {"Variable": "$.answer.defer_seconds", "NumericEquals": MANY, "Next": lane.name(f"{send.send} batches")}
        lane.add(asked, {"Type": "Choice", "Choices": [_more_than_zero("$.answer.defer_seconds", later), many]})
        comment = "quiet hours, or a busy provider"
        lane.add(later, {"Type": "Wait", "Comment": comment, "SecondsPath": "$.answer.defer_seconds", "Next": again})
        lane.add(
            again, {"Type": "Pass", **_moved_on("$states.input.answer.defer_seconds", "scheduled_at"), "Next": start}
        )
        lane.states[asked]["Default"] = self._way(lane, rest) if rest else self._end(lane)
        return start

    def _fork(self, lane: _Lane, branch: Branch | Split, rest: tuple[Step, ...], *, enter: bool) -> str:
        step, paths = step_name(branch), list(branch.paths())
        call = {"action": "branch", "step": step, "branch": self._chooses(branch)}
        fork = lane.name(f"{step} arms")
        start = self._task(lane, step, call, lambda: fork, enter=enter, gather=True)
        arms = [self._arm(lane, step, arm, path + rest) for arm, path in paths]
        note = branch.note or "everyone goes on along one arm"
        lane.add(fork, {"Type": "Parallel", "Comment": note, "Branches": arms, "ResultPath": None, "End": True})
        return start

    def _chooses(self, branch: Branch | Split) -> State:
        if isinstance(branch, Split):
            return {"arms": list(branch.shares), "shares": dict(branch.shares)}
        if branch.when is None:
            return {"arms": list(branch.arms), "on": str(branch.on)}
        when = {name: condition_told(condition) for name, condition in branch.when.items()}
        return {"arms": list(branch.when), "when": when, **self._reactions(branch.when.values())}

    def _reactions(self, conditions: Iterable[Condition]) -> State:
        """The sends whose openings and clicks are asked for."""
        asked = {part.opened or part.clicked for each in conditions for part in each.parts()}
        known = [send.send for send in self.scenario.sends() if send.send in asked]
        return {"reactions": known} if known else {}

    def _arm(self, outer: _Lane, branch: str, arm: str, steps: tuple[Step, ...]) -> Machine:
        lane = _Lane(f"{outer.prefix}{branch}={arm} / ", outer.coupon)
        guard, nobody = lane.name("anyone?"), lane.name("nobody")
        first = self._way(lane, steps)
        cohort = f"$lookup($states.input.answer.arms, '{arm}')"
        lane.add(
            guard,
            {
                "Type": "Choice",
                "QueryLanguage": "JSONata",
                "Choices": [
                    {
                        "Condition": f"{{% {cohort}.size > 0 %}}",
                        "Output": f"{{% $merge([$states.input, {{'cohort': {cohort}, 'answer': null}}]) %}}",
                        "Next": first,
                    }
                ],
                "Default": nobody,
            },
        )
        lane.add(nobody, {"Type": "Succeed"})
        return {"StartAt": guard, "States": lane.states}

    def _task(
        self,
        lane: _Lane,
        step: str,
        call: State,
        following: Callable[[], str] | None,
        *,
        enter: bool = False,
        gather: bool = False,
        asks: bool = True,
    ) -> str:
        """One step: for one batch a call, for many a Map over the batches (and a call to `gather` their answers).

        Which of the two is asked first; or, not `asks`, the call of many answers `MANY` and what follows sees to it: a
        choice less for each small cohort, and those are nearly all.
        """
        size, one, many = lane.name(f"{step} size"), lane.name(step), lane.name(f"{step} batches")
        together = lane.name(f"{step} together")
        within = int(self.scenario.entry.expires_after.total_seconds()) if enter else 0
        call = {**call, **self._pinned(), "enter_within_seconds": within, "lane": lane.prefix}
        if enter:
            call |= self._admits()
        is_one = {"Variable": "$.cohort.batches", "NumericEquals": 1, "Next": one}
        if asks:
            lane.add(size, {"Type": "Choice", "Choices": [is_one], "Default": many})
        lane.add(one, self._invoke({**call, "batch": _ONE_BATCH}, answer=_ANSWERS.get(call["action"])))
        lane.add(many, self._map(lane.name(f"{step} batch"), call, answers=gather))
        ends = [one, together if gather else many]
        if gather:
            lane.states[many]["Next"] = together
            answers = {"answers.$": "$.answer"} if call["action"] == "send" else {}
            put_together = {**call, "action": "gather", "of": call["action"], **answers}
            lane.add(together, self._invoke(put_together, answer=_ANSWERS[call["action"]]))
        then = {"Next": following()} if following else {"End": True}
        for end in ends:
            lane.states[end] |= then
        return size if asks else one

    def _stage(self) -> State:
        """A staged scenario decides and records; nobody gets anything."""
        return {"staged": True} if self.scenario.status is LiveStatus.STAGED else {}

    def _pinned(self) -> State:
        scenario = self.scenario
        rules = [rule.value if isinstance(rule, ExitRule) else condition_told(rule) for rule in scenario.exit_when]
        pinned: State = {"scenario": scenario.id, "version": scenario.version, "exit_when": rules}
        if scenario.goal is not None:
            pinned["goal"] = condition_told(scenario.goal)
        if scenario.period is not None:
            pinned["period"] = scenario.period.model_dump(mode="json", by_alias=True, exclude_none=True)
        asked = [rule for rule in (*scenario.exit_when, scenario.goal) if isinstance(rule, Condition)]
        return {**pinned, **self._reactions(asked)}

    def _admits(self) -> State:
        """What the first step asks of those who come in."""
        entry, again = self.scenario.entry, dump_again(self.scenario.again_after)
        plain = entry.event is Trigger.CART_ABANDONED and entry.where is None
        return {
            **({} if plain else {"entry": entry.told()}),
            **({} if again is None else {"again_seconds": again}),
        }

    def _end(self, lane: _Lane) -> str:
        name = lane.name("end")
        lane.add(name, {"Type": "Succeed"})
        return name

    def _invoke(self, call: State, *, answer: str | None) -> State:
        payload = {**call, **_CARRIED, "cohort.$": "$.cohort", "attempt.$": "$$.State.RetryCount"}
        kept: State = {"ResultPath": None}
        if answer:
            kept = {"ResultSelector": {f"{answer}.$": f"$.Payload.{answer}"}, "ResultPath": "$.answer"}
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": self.function, "Payload": payload},
            **kept,
            "TimeoutSeconds": self.options.step_timeout_seconds,
            "Retry": _RETRY,
        }

    def _map(self, name: str, call: State, *, answers: bool) -> State:
        child = self._invoke({**call, "batch.$": "$.batch"}, answer="defer_seconds")
        # One number per batch: 10,000 batches answer 20 KB, far below the 256 KiB a state may carry.
        child |= {"ResultPath": "$.answer", "OutputPath": "$.answer.defer_seconds", "End": True}
        return {
            "Type": "Map",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Parameters": {"Bucket.$": "$.cohort.bucket", "Key.$": "$.cohort.key"},
            },
            "ItemSelector": {**_CARRIED, "cohort.$": "$.cohort", "batch.$": "$$.Map.Item.Value"},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": self.options.children},
                "StartAt": name,
                "States": {name: child},
            },
            "MaxConcurrency": self.options.concurrency,
            "ResultPath": "$.answer" if answers else None,
        }


def _left(seconds: int | str) -> State:
    """What is left of a wait that began at `scheduled_at`: nobody waits for the time a step took, nor again for what
    they had waited for when they were moved to this version.
    """
    late = "$max([0, $floor(($millis() - $toMillis($states.input.scheduled_at)) / 1000)])"
    return {"Seconds": f"{{% $max([0, {seconds} - {late}]) %}}"}


def _moved_on(seconds: int | str, *times: str) -> State:
    """Move the schedule on. In JSONata, which alone can add seconds to a time without a call."""
    at = f"$fromMillis($toMillis($states.input.scheduled_at) + {seconds} * 1000)"
    moved = ", ".join(f"'{time}': {at}" for time in times)
    return {"QueryLanguage": "JSONata", "Output": f"{{% $merge([$states.input, {{{moved}}}]) %}}"}


def condition_told(condition: Condition) -> State:
    """A condition as the machine carries it."""
    return condition.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _more_than_zero(variable: str, following: str) -> State:
    return {"Variable": variable, "NumericGreaterThan": 0, "Next": following}
