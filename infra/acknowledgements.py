"""cdk-nag findings we accept, each with its reason. A test shows that each still silences a real finding."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct


@dataclass(frozen=True, slots=True)
class Accepted:
    """One accepted finding: the rule, the constructs it is accepted for (path suffixes; empty: the stack), and why."""

    rule: str
    reason: str
    paths: tuple[str, ...] = ()


ACCEPTED: tuple[Accepted, ...] = ()


def acknowledge(*stacks: Stack) -> None:
    """Tell the checks what is accepted."""
    for accepted in ACCEPTED:
        for scope in _scopes(stacks, accepted):
            Validations.of(scope).acknowledge(Acknowledgment(id=accepted.rule, reason=accepted.reason))


def _scopes(stacks: tuple[Stack, ...], accepted: Accepted) -> list[IConstruct]:
    if not accepted.paths:
        return list(stacks)
    return [node for stack in stacks for node in stack.node.find_all() if node.node.path.endswith(accepted.paths)]
