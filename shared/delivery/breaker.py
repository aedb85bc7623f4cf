"""The breaker of a shop's mail (配信停止判定): what came back is added up per batch of feedback, and judged.

A shop that is stopped sends nothing more (its batches wait, and what is late by then expires) until a person has looked
at its list and says `matakite delivery resume`.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime

from shared.core.ids import TenantId
from shared.core.telemetry import logger, tell
from shared.delivery.pace.store import ReputationStore
from shared.delivery.reputation import Day, Judgement, Verdict, judge
from shared.ingest import body as read
from shared.ingest.sources import ses


class Breaker:
    """Feedback of one batch; `judge_all` writes once per shop and day, not once per mail."""

    def __init__(self, store: ReputationStore) -> None:
        self._store = store
        self._days: defaultdict[tuple[TenantId, date], Day] = defaultdict(Day)

    def note(self, record: read.Body, now: datetime) -> None:
        """One record that was not known before."""
        if day := day_of(record):
            tenant, _, _ = ses.send_tags(record)
            self._days[TenantId(tenant), now.astimezone(UTC).date()] += day

    def judge_all(self, now: datetime) -> list[Judgement]:
        """Add up and judge; a shop whose mail is unwelcome is stopped.

        What cannot be added up now is noted still: the queue brings its records again, but as known ones.
        """
        return [self._judge(tenant, on, now) for tenant, on in list(self._days)]

    def _judge(self, tenant: TenantId, on: date, now: datetime) -> Judgement:
        known = self._store.tally(tenant, on, self._days[tenant, on])
        del self._days[tenant, on]
        judgement = judge(known.days, on)
        said = {"tenant": tenant, "figures": judgement.why}
        if judgement.verdict is Verdict.STOP and known.stopped_at is None:
            self._store.stop(tenant, judgement.why, now)
            tell("delivery", "ShopsStopped", 1)
            logger("delivery").error("sending stopped", extra=said)
        elif judgement.verdict is Verdict.WARN:
            logger("delivery").warning("mail becomes unwelcome", extra=said)
        return judgement


def day_of(record: read.Body) -> Day:
    """What one record counts as. A full mailbox is no fault of the list, nor is a correction of a complaint."""
    match ses.kind_of(record):
        case "Send":
            return Day(sent=1)
        case "Bounce":
            permanent = (read.inner(record, "bounce") or {}).get("bounceType") == "Permanent"
            return Day(bounced=int(permanent))
        case "Complaint":
            corrected = (read.inner(record, "complaint") or {}).get("complaintFeedbackType") == "not-spam"
            return Day(complained=int(not corrected))
        case _:
            return Day()
