"""cdk-nag (AwsSolutions) findings we accept, each with its reason; whatever is not listed here stops the synthesis.

cdk-nag names an IAM5 finding by the resource's text, which holds hashes, so the findings are matched by pattern after
its checks and before the verdict. A pattern that no longer matches anything stops the synthesis too: the list cannot
outlive its reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import aws_cdk as cdk
import jsii
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct


@dataclass(frozen=True, slots=True)
class Accepted:
    """Findings of one rule we accept: for the constructs and details that match, and why."""

    rule: str
    reason: str
    detail: str = ".*"
    """Pattern of what stands in brackets behind the rule (`Resource::…`)."""
    path: str = ".*"
    """Pattern of the construct's path."""


ACCEPTED = (
    Accepted(
        "AwsSolutions-DDB3",
        "Deliveries of 30 days, all folded and archived: a 35-day backup would keep raw bodies of people erased since",
        path="MatakiteData/Events/Resource",
    ),
    Accepted(
        "AwsSolutions-IAM5",
        "Which number, sender id or pool a shop's SMS come from is its own setting",
        r"Resource::arn:.*:sms-voice:.*",
    ),
    Accepted(
        "AwsSolutions-IAM5",
        "X-Ray and the vended log delivery of Step Functions have no resource-level permissions",
        r"Resource::\*",
    ),
    Accepted(
        "AwsSolutions-IAM5",
        "One prefix of one of our buckets: the objects below it are named while the product runs",
        r"Resource::MatakiteData:ExportsOutputFnGetAtt(Lake|Work|Inbox)\w+/[\w-]+/\*",
    ),
    Accepted(
        "AwsSolutions-IAM5",
        "Shops, connections and surveys are added while the product runs; the prefix holds nothing else",
        r"Resource::arn:.*:parameter/matakite/(shops|connections|surveys|file-mappings|line|endpoints)/\*",
    ),
    Accepted(
        "AwsSolutions-IAM5",
        "The tables of our own Glue database: one for each analysis",
        r"Resource::arn:.*:table/matakite/\*",
    ),
    Accepted(
        "AwsSolutions-IAM5",
        "Versions of one function of ours, as the Step Functions construct of the CDK grants them",
        r"Resource::<\w+\.Arn>:\*",
    ),
    Accepted(
        "AwsSolutions-IAM5",
        "Executions of one state machine of ours: their names hold the tick they were started at",
        r"Resource::arn:.*:execution:[\w-]+\*?[:/]\*",
    ),
    Accepted(
        "AwsSolutions-IAM5",
        "The state machines of our scenarios: one for each file, and nothing else is called so",
        r"Resource::arn:.*:stateMachine:matakite-scenario-\*",
    ),
    Accepted(
        "AwsSolutions-IAM5",
        "Which identity or tenant a shop sends from is its own setting; our configuration set is required beside it",
        r"Resource::arn:.*:ses:.*:(identity|tenant)/\*",
    ),
    Accepted(
        "AwsSolutions-SF1",
        "ALL would log every transition and what it carries; errors are logged, X-Ray shows the rest",
    ),
    Accepted(
        "AwsSolutions-SMG4",
        "The master key names rows by keyed digests: rotating it would lose everybody's identity",
    ),
    Accepted(
        "AwsSolutions-L1",
        "python3.13 on purpose: the locked wheels are tested on it; newer runtimes come with the next lock",
    ),
    Accepted(
        "AwsSolutions-APIG4",
        "Nobody outside signs in to AWS: a webhook has an HMAC over its body, an SDK its write key, a page or link a "
        "signed token, each checked by the function",
        path=r".*/(POST|GET|HEAD)--v1--"
        r"((hooks|unsubscribe|preferences|c)--|\{call\}|surveys|subscribe|confirm|line--link|customers--lookup).*",
    ),
    Accepted(
        "AwsSolutions-SQS3",
        "It is a dead-letter queue itself, of a stream reader or a schedule, which the rule cannot see",
        path=r".*DeadLetters/Resource",
    ),
)


@jsii.implements(cdk.IPolicyValidationPlugin)
class ReviewedChecks:
    """cdk-nag's AwsSolutions checks, less what is accepted."""

    def __init__(self, scope: IConstruct, accepted: Iterable[Accepted] = ACCEPTED) -> None:
        self._checks = AwsSolutionsChecks(scope)
        self._accepted = tuple(accepted)
        self.unused: set[Accepted] = set(self._accepted)
        """Accepted, but found nowhere."""

    @property
    def name(self) -> str:
        """Shown before each finding."""
        return "AwsSolutions"

    @property
    def version(self) -> str | None:
        """Version of the checks."""
        return self._checks.version

    @property
    def rule_ids(self) -> list[str] | None:
        """Rules of the checks."""
        return self._checks.rule_ids

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Everything cdk-nag finds that nobody accepted, and every acceptance of nothing."""
        found = self._checks.validate(context)
        left = [left for violation in found.violations if (left := self._left_of(violation))]
        left += [_stale(accepted) for accepted in sorted(self.unused, key=lambda each: each.reason)]
        return cdk.PolicyValidationPluginReport(success=not left, violations=left)

    def _left_of(self, violation: cdk.PolicyViolation) -> cdk.PolicyViolation | None:
        resources = [r for r in violation.violating_resources if not self._is_accepted(violation.rule_name, r)]
        if not resources:
            return None
        return cdk.PolicyViolation(
            rule_name=violation.rule_name,
            description=violation.description,
            violating_resources=resources,
            severity=violation.severity,
        )

    def _is_accepted(self, rule_name: str, resource: cdk.PolicyViolatingResource) -> bool:
        rule, _, rest = rule_name.rpartition("::AwsSolutions-")[2].partition("[")
        fits = list(
            self._fitting(f"AwsSolutions-{rule.removeprefix('AwsSolutions-')}", rest.removesuffix("]"), resource)
        )
        self.unused.difference_update(fits)
        return bool(fits)

    def _fitting(self, rule: str, detail: str, resource: cdk.PolicyViolatingResource) -> Iterator[Accepted]:
        path = resource.construct_path or ""
        for accepted in self._accepted:
            if accepted.rule == rule and re.fullmatch(accepted.detail, detail) and re.fullmatch(accepted.path, path):
                yield accepted


def _stale(accepted: Accepted) -> cdk.PolicyViolation:
    return cdk.PolicyViolation(
        rule_name=accepted.rule,
        description=f"accepted, but found nowhere (remove it from infra/acknowledgements.py): {accepted.reason}",
        violating_resources=[cdk.PolicyViolatingResource(locations=[__name__], construct_path="Matakite")],
        severity="error",
    )
