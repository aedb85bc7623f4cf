"""The day that was played: everybody is accounted for, and nobody got a mail they should not have."""

from __future__ import annotations

import pytest

from infra.cli.demo import due
from infra.demo import verify
from infra.demo.verify import Findings
from tests.system.conftest import Played


@pytest.fixture(scope="module")
def findings(played: Played) -> Findings:
    return verify.examine(played.stage, played.cloud.emulator, played.day, list(played.surprises), due(played.stage))


def test_nothing_contradicts_the_books(findings: Findings) -> None:
    assert findings.contradictions == ()


def test_everybody_due_was_sent_to_or_held_back(findings: Findings) -> None:
    assert findings.due == findings.sent + sum(findings.held.values())
    assert findings.unknown == 0
    assert findings.mails == findings.sent > 40


def test_nobody_was_mailed_the_same_twice(played: Played) -> None:
    sends = [mail["tags"]["send_id"] for mail in verify.outbox(played.cloud.emulator, played.stage.shop.tenant)]
    assert len(sends) == len(set(sends))


def test_people_were_held_back_for_every_reason_of_the_play(findings: Findings) -> None:
    assert {"no_consent", "opted_out", "no_address", "ordered", "bounced", "complained"} <= set(findings.held)
