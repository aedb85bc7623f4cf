"""開示請求: everything kept about one person as one JSON document, in the words of the records themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.admin.erase import Wanted, in_delivery
from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId, Ref, TenantId
from shared.core.keys import KeyRing
from shared.core.plain import as_json
from shared.customers.items import state_of
from shared.customers.store import CustomerStore
from shared.delivery.coupons.issue import CouponStore
from shared.delivery.links.store import LinkStore
from shared.delivery.store import LedgerStore
from shared.ingest.model import Envelope
from shared.ingest.store import DynamoEventStore, Key, MemoryEventStore
from shared.scenarios.store import EnrolmentStore


@dataclass(frozen=True, slots=True)
class ExportDeps:
    """Where everything about a person is."""

    customers: CustomerStore
    ledger: LedgerStore
    enrolments: EnrolmentStore
    events: DynamoEventStore | MemoryEventStore
    keys: KeyRing
    coupons: CouponStore
    links: LinkStore
    progress: Callable[[int], None] = lambda _rows: None
    """Told how many deliveries have been looked through."""


def export_person(tenant: TenantId, customer_id: CustomerId, deps: ExportDeps, now: datetime) -> dict[str, Any]:
    """The document. Reads the whole customers and events tables once: nothing is indexed by person.

    Raises NotFoundError.
    """
    person = deps.customers.whole(tenant, customer_id)
    if person is None:
        raise NotFoundError("nobody by that id")
    state, record = state_of(person), person.record
    ids = (person.customer_id, *sorted(person.aliases))
    profile = state.profile
    contact = {
        name: getattr(profile, name)
        for name in ("email", "phone", "line_user_id", "last_name", "first_name", "last_name_kana", "first_name_kana",
                     "postal_code", "address")
    }  # fmt: skip
    log = deps.customers.consent_log(tenant, customer_id)
    document = {
        "schema": "matakite/person/1",
        "exported_at": now,
        "shop": tenant,
        "customer_id": person.customer_id,
        "former_ids": ids[1:],
        "erased_at": record.erased_at,
        "contact": contact,
        "contact_as_said": record.cards,
        "known_by": sorted({ref.partition(":")[0] for ref in record.refs}),
        "purchases": profile.summary,
        "scores": profile.scores,
        "segments": profile.segments,
        "orders": state.orders,
        "carts": state.carts,
        "subscriptions": state.subscriptions,
        "attributes": state.attributes,
        "visits": state.visits,
        "last_login_at": state.last_login_at,
        "consents": state.consents,
        "consent_ledger": log,
        "suppressed_channels": sorted(
            channel
            for channel in ("email", "sms", "line")
            if (address := deps.customers.address_of(tenant, customer_id, channel))
            and deps.customers.is_suppressed(tenant, channel, Ref(address))
        ),
        "joins": profile.joins,
        "decisions": profile.decisions,
        "sends": [row for each in ids for row in deps.ledger.rows(tenant, each)],
        "coupons": [coupon for each in ids for coupon in deps.coupons.of_customer(tenant, each)],
        "links": {send: urls for each in ids for send, urls in deps.links.of_customer(tenant, each).items()},
        "enrolments": [row for each in ids for row in deps.enrolments.of_customer(tenant, each)],
        "deliveries": [_delivery(each) for each in deliveries(tenant, ids, deps)],
    }
    plain: dict[str, Any] = as_json(document)
    return plain


def deliveries(tenant: TenantId, ids: Sequence[CustomerId], deps: ExportDeps) -> list[Envelope]:
    """The deliveries still kept that are about somebody, oldest first."""
    known = dict.fromkeys(ids, ids[0])
    refs = {ref: ids[0] for ref, named in deps.customers.named(tenant) if named in known}
    wanted = Wanted(refs, {ids[0]: None}, known)
    found = (each for each in _everything(deps) if each.tenant == tenant and in_delivery(each, wanted, deps.keys))
    return sorted(found, key=lambda each: (each.occurred_at, each.event_id))


def _everything(deps: ExportDeps) -> Iterator[Envelope]:
    after: Key | None = None
    rows = 0
    while True:
        some = deps.events.slice(0, 1, after)
        yield from (body.envelope for body in some.bodies)
        rows, after = rows + some.rows, some.after
        deps.progress(rows)
        if after is None:
            return


def _delivery(envelope: Envelope) -> dict[str, Any]:
    return {
        "source": envelope.source,
        "store": envelope.store,
        "topic": envelope.topic,
        "occurred_at": envelope.occurred_at,
        "received_at": envelope.received_at,
        "event_id": envelope.event_id,
        "body": _body(envelope.raw),
    }


def _body(raw: bytes) -> Any:
    text = raw.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return text
