"""What `matakite scenario replay` and `publish` look at: a shop's recorded events, played with nobody contacted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime

from infra.cli.customer import Desk, open_desk
from infra.cli.session import connect
from shared.admin.outcomes import outcome
from shared.analytics.lake import Objects, S3Objects
from shared.core.clock import SystemClock, shop_day
from shared.core.errors import MatakiteError, RejectedError
from shared.core.ids import CustomerId, TenantId
from shared.customers.model import Findings
from shared.customers.rows import encode_item
from shared.customers.store import read_row
from shared.delivery.render import TemplateStore
from shared.ingest.history import PREFIX, loaded_mark, read_chunk
from shared.ingest.model import Event
from shared.ingest.oversize import S3Oversize
from shared.ingest.registry import events_of
from shared.ingest.store import decode_image
from shared.measurement.cost.preview import preview
from shared.measurement.cost.prices import read_prices
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.read import read_presets
from shared.scenarios.replay import ReplayDeps, Replayed, audience, replay, report


def lines(
    drafts: Sequence[Scenario], shop: str | None, since: datetime | None, templates: TemplateStore
) -> Iterator[str]:
    """Reach, sends a day, who was held back, overlap and cost of each draft."""
    desk = open_desk(connect(), shop)
    events = list(_recorded(desk))
    yield known_of(events, desk.shop.timezone)
    found = replay([*drafts, *_live_beside(drafts)], events, _deps(desk, templates))
    first = since.date() if since else date.min
    kept = replace(found, decisions=tuple(d for d in found.decisions if shop_day(d.at, desk.shop.timezone) >= first))
    for draft in drafts:
        yield from report(kept, draft, lambda reason: outcome(reason, "ja"))
        yield from cost(kept, draft)


def known_of(events: Sequence[Event], timezone: str) -> str:
    """What the replay can know: who agreed or moved before that did so unheard."""
    if not events:
        return "nothing is recorded yet: connect a cart or import files first"
    since = shop_day(min(event.received_at for event in events), timezone)
    return f"{len(events):,} events recorded since {since} (kept 30 days; what was said before is not known here)"


def cost(replayed: Replayed, scenario: Scenario) -> Iterator[str]:
    """What its messages would have cost, in yen: the code of the preview."""
    channels = Counter(each.channel for each in replayed.sent(scenario.id))
    if not channels:
        return
    seen = preview([channels], 1, read_prices(), SystemClock().now())
    yield f"  cost: ¥{seen.yen:,.0f}"
    for charge in seen.charges:
        yield f"    {charge.channel}: {charge.messages:,}, ¥{charge.yen:,.0f} ({charge.said})"


def compared(before: Scenario, after: Scenario, shop: str | None, templates: TemplateStore) -> str:
    """Whom both versions reach; where there is no deployment to ask, that."""
    try:
        desk = open_desk(connect(), shop)
    except MatakiteError as error:
        return f"not compared ({error})"
    found = audience(before, after, _live_beside([after]), _recorded(desk), _deps(desk, templates))
    return str(found)


def _live_beside(drafts: Sequence[Scenario]) -> list[Scenario]:
    named = {draft.id for draft in drafts}
    return [each for each in read_presets() if each.status is LiveStatus.LIVE and each.id not in named]


def _deps(desk: Desk, templates: TemplateStore) -> ReplayDeps:
    return ReplayDeps(desk.shop, desk.deployment.keys(), templates, _known(desk))


def imported(tenant: TenantId, work: Objects) -> Iterator[Event]:
    """What files brought in: who somebody is, and what they agreed to, is often said nowhere else."""
    kept = {each.key for each in work.list(f"{PREFIX}{tenant}/")}
    for key in sorted(kept):
        if loaded_mark(key) in kept:
            yield from read_chunk(work.get(key))


def _recorded(desk: Desk) -> Iterator[Event]:
    """Every event of the shop that is still kept, in our words: imported, and in the events table."""
    bucket, s3 = desk.deployment.outputs["WorkBucket"], desk.deployment.client("s3")
    oversize = S3Oversize(s3, bucket)
    yield from imported(desk.shop.tenant, S3Objects(bucket, s3))
    pages = (
        desk.deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=desk.deployment.outputs["EventsTable"],
            FilterExpression="begins_with(pk, :mine)",
            ExpressionAttributeValues={":mine": {"S": f"{desk.shop.tenant}#"}},
        )
    )
    for item in (item for page in pages for item in page["Items"]):
        try:
            yield from events_of(decode_image(item, oversize))
        except RejectedError:
            continue  # what nobody could read then, nobody decided by


def _known(desk: Desk) -> dict[CustomerId, Findings]:
    """What the last night found about everybody."""
    rows = desk.customers.rows.each_of_kind(f"{desk.shop.tenant}#", "profile")
    read = (read_row(encode_item(each)) for each in rows)
    return {
        row.customer_id: Findings(row.profile.scores, row.profile.segments)
        for row in read
        if row and row.profile and (row.profile.scores or row.profile.segments)
    }
