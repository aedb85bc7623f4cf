"""Read what repeats once: the expressions of a table's calls, and the body of a call.

Without it: MiniStack takes a condition apart for every row of a transaction and every row of a scan, reads a body again
for each question it has for IAM, and asks IAM about each of a transaction's hundred rows what it asked about the one
before. The answers are the same ones, only sooner: of an import a third less work.
"""

from __future__ import annotations

import json
from functools import lru_cache
from types import SimpleNamespace

from ministack.core import iam_actions
from ministack.services import dynamodb

from infra.local.emulator.settings import EmulatorSettings

_EXPRESSIONS = 1024
_BODIES = 8
"""A call's questions come one after the other; a few calls may be under way."""


def install(settings: EmulatorSettings) -> None:
    """Remember what these pure functions answered; nobody changes a token or a body that was read for IAM."""
    dynamodb._tokenize = lru_cache(_EXPRESSIONS)(dynamodb._tokenize)
    dynamodb._condition_syntax_error = lru_cache(_EXPRESSIONS)(dynamodb._condition_syntax_error)
    iam_actions.json = SimpleNamespace(**{**vars(json), "loads": lru_cache(_BODIES)(json.loads)})
    checks = iam_actions.dynamodb_transaction_checks
    iam_actions.dynamodb_transaction_checks = lambda *call: list(dict.fromkeys(checks(*call)))
