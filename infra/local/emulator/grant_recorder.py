"""Record which permission every allowed call was allowed by.

Without it: IAM enforcement shows a missing grant, but not an unneeded one. AWS shows those only after weeks of access
analysis. Mended by remembering every (role, action, resource) that was allowed and, for every grant in every role's
policies, whether some call was allowed by that grant alone: removing such a grant is certain to break something.

``GET /_matakite/grants`` answers ``calls`` (what was allowed), ``grants`` (role, policy, action and resource pattern,
``calls``, ``needed``), ``permissions`` (the same for the resource policies that let AWS services in) and ``denied``;
``DELETE`` forgets the calls.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext, EvalResult, ParsedStatement
from ministack.services import iam

from infra.local.emulator.gateway import InternalRequest, route
from infra.local.emulator.settings import ACCOUNT, EmulatorSettings


@dataclass(frozen=True)
class Call:
    """One kind of call: who did what to which resource."""

    principal: str
    action: str
    resource: str


@dataclass(frozen=True)
class Grant:
    """One action pattern on one resource pattern in one policy of one role."""

    role: str
    policy: str
    sid: str
    action: str
    resource: str
    conditional: bool

    def matches(self, call: Call) -> bool:
        """Whether this grant names the call (conditions were judged when it was made)."""
        return (
            call.principal == self.role
            and iam_evaluator.fnmatch_iam(call.action, self.action)
            and iam_evaluator.fnmatch_iam_cs(call.resource, self.resource)
        )


_lock = threading.Lock()
_allowed: Counter[Call] = Counter()
_denied: Counter[Call] = Counter()


def principal_name(arn: str) -> str:
    """A role's name for an assumed role, ``root`` for the account, a service's own name otherwise."""
    if ":assumed-role/" in arn:
        return str(iam_evaluator._role_name_from_assumed_arn(arn))
    return arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def remember(principal: str, action: str, resource: str, *, allowed: bool) -> None:
    """Count one authorised or refused call."""
    with _lock:
        (_allowed if allowed else _denied)[Call(principal, action, resource)] += 1


def role_grants() -> Iterator[Grant]:
    """Every Allow in every role's policies, one per action and resource pattern."""
    for role_name, role in list(iam._roles.items()):
        documents = dict(role.get("InlinePolicies") or {})
        for arn in role.get("AttachedPolicies", []):
            documents[arn.rsplit("/", 1)[-1]] = iam_evaluator._resolve_managed_policy_document(arn, ACCOUNT) or {}
        for policy, document in documents.items():
            for statement in iam_evaluator.parse_policy_document(document):
                yield from _grants_of(role_name, policy, statement)


def _grants_of(role: str, policy: str, statement: ParsedStatement) -> Iterator[Grant]:
    if statement.effect != "Allow":
        return
    for action in statement.actions:
        for resource in statement.resources:
            yield Grant(role, policy, statement.sid, action, resource, bool(statement.conditions))


def assess(grants: list[Grant], calls: Counter[Call]) -> list[dict[str, Any]]:
    """For every grant, how many calls it allowed, and whether some call was allowed by nothing else."""
    matched: dict[Grant, list[Call]] = {grant: [] for grant in grants}
    sole: set[Grant] = set()
    for call in calls:
        matching = [grant for grant in grants if grant.matches(call)]
        for grant in matching:
            matched[grant].append(call)
        if len({(g.policy, g.action, g.resource) for g in matching}) == 1:
            sole.update(matching)
    return [
        {**asdict(grant), "calls": sum(calls[call] for call in matched[grant]), "needed": grant in sole}
        for grant in grants
    ]


def _report(request: InternalRequest) -> dict[str, Any]:
    from infra.local.emulator.authorisation import service_permissions

    with _lock:
        allowed, denied = Counter(_allowed), Counter(_denied)
    return {
        "calls": [{**asdict(call), "count": count} for call, count in allowed.items()],
        "grants": assess(list(dict.fromkeys(role_grants())), allowed),
        "permissions": service_permissions(),
        "denied": [{**asdict(call), "count": count} for call, count in denied.items()],
    }


def _forget(request: InternalRequest) -> dict[str, Any]:
    from infra.local.emulator.authorisation import forget_permissions

    with _lock:
        _allowed.clear()
        _denied.clear()
    forget_permissions()
    return {}


def _parsed_once(parse: Callable[[Any], list[ParsedStatement]]) -> Callable[[Any], list[ParsedStatement]]:
    """Every call of every function parses its role's policies; the same text need not be read twice."""
    remembered = lru_cache(maxsize=2048)(parse)
    return lambda document: remembered(document) if isinstance(document, str) else parse(document)


def install(settings: EmulatorSettings) -> None:
    """Watch MiniStack's policy evaluation and serve the report."""
    evaluate = iam_evaluator.evaluate

    def evaluate_and_remember(
        ctx: EvalContext, policies: list[list[ParsedStatement]], *limits: list[list[ParsedStatement]]
    ) -> EvalResult:
        result = evaluate(ctx, policies, *limits)
        if ctx.principal_type == "AssumedRole":
            remember(
                principal_name(ctx.principal_arn), ctx.action, ctx.resource_arn, allowed=result.decision == "Allow"
            )
        return result

    iam_evaluator.evaluate = evaluate_and_remember
    iam_evaluator.parse_policy_document = _parsed_once(iam_evaluator.parse_policy_document)
    route("GET", "grants", _report)
    route("DELETE", "grants", _forget)
