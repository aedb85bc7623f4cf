"""The preference centre (配信設定): channels, topics, how often, a rest of 30 days, or nothing any more.

Opened by the same signed link as the way out (tokens.py). GET and HEAD change nothing. POST says that it is saved only
when everything is committed, refusals first, so a gate that reads from then on obeys (I3); saying the same again is no
event. Works without scripts, cookies, login or another server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from shared.core.clock import to_iso
from shared.core.errors import NotFoundError, UnavailableError
from shared.core.pages import Page
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.customers import fold
from shared.customers.model import ConsentStatus, PersonState
from shared.customers.rules import EVERY_STORE
from shared.delivery.preferences import FREQUENCY, PAUSE, PAUSED_UNTIL, TOPIC, Frequency, shop_topics, wishes_of
from shared.delivery.rules import UNLESS_REFUSED, address, heard, store_of
from shared.delivery.tokens import UnsubscribeToken, verify
from shared.delivery.unsubscribe import CHANNEL_NAMES, Submission, UnsubscribeDeps, submission_of
from shared.ingest.registry import events_of
from shared.ingest.sources.page import preferences_envelope

MAX_BODY = 10_000
FORM = "preferences v1"
WORDING = "受け取る方法を選び、この内容で保存する"
"""What stood on the form when somebody turned a channel on again; kept as evidence of the consent."""

LABELS = {**CHANNEL_NAMES, "postal": "郵送（はがき・お手紙）", "call": "お電話"}

_TITLES = {
    "form": "配信設定",
    "saved": "配信設定",
    "stopped": "配信設定",
    "busy": "保存できませんでした",
    "gone": "配信設定",
    "invalid": "リンクを確認できませんでした",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the form says: everything that is ticked."""

    channels: frozenset[str]
    topics: frozenset[str]
    monthly: bool
    pause: bool
    stop_all: bool


def show(text: str, deps: UnsubscribeDeps, now: datetime) -> Page:
    """GET: the form as things stand. Changes nothing."""
    token = verify(text, deps.keys())
    if token is None:
        return _page(400, "invalid", deps, {})
    return _form(200, "form", token, deps, now)


def act(text: str, submission: Submission, deps: UnsubscribeDeps, now: datetime) -> Page:
    """POST: what changed, committed before it is confirmed."""
    token = verify(text, deps.keys())
    if token is None:
        return _page(400, "invalid", deps, {})
    choice = chosen(submission)
    if choice is None:
        return _form(400, "form", token, deps, now)
    try:
        _apply(token, choice, deps, now)
        return _form(200, "stopped" if choice.stop_all else "saved", token, deps, now)
    except UnavailableError:
        return _page(503, "busy", deps, {"shop_name": deps.read_shop(token.tenant).name})


def answer_http(event: Mapping[str, Any], deps: UnsubscribeDeps, now: datetime) -> dict[str, Any]:
    """One request of an API Gateway HTTP API (payload 2.0)."""
    method = event["requestContext"]["http"]["method"]
    token = str(event.get("pathParameters", {}).get("token", ""))
    page = act(token, submission_of(event), deps, now) if method == "POST" else show(token, deps, now)
    return page.answer(head=method == "HEAD")


def chosen(submission: Submission) -> Choice | None:
    """The form's fields; None for anything that is not our form (a scanner's POST, a mail program's one-click)."""
    if len(submission.body) > MAX_BODY or "multipart/" in submission.content_type.lower():
        return None
    pairs = parse_qsl(submission.body.decode("utf-8", "replace"), keep_blank_values=True)
    if ("form", "preferences") not in pairs:
        return None
    return Choice(
        channels=frozenset(value for name, value in pairs if name == "channel"),
        topics=frozenset(value for name, value in pairs if name == "topic"),
        monthly=("frequency", "monthly") in pairs,
        pause=("pause", "yes") in pairs,
        stop_all=("all", "stop") in pairs,
    )


def _apply(token: UnsubscribeToken, choice: Choice, deps: UnsubscribeDeps, now: datetime) -> None:
    person = deps.customers.person(token.tenant, token.customer_id)
    if person is None or person.profile.erased:
        return
    shop = deps.read_shop(token.tenant)
    wishes = {} if choice.stop_all else _changed_wishes(person, choice, shop, now)
    said = _refused_everywhere(person) if choice.stop_all else _changed_channels(token, person, choice)
    if wishes:
        said.setdefault(token.store, {})
    # Refusals first: if only some are committed, the person hears less, never more.
    for store, channels in sorted(said.items(), key=lambda one: any(one[1].values())):
        _commit(token, store, channels, wishes if store == token.store else {}, deps, now)


def _commit(
    token: UnsubscribeToken,
    store: str,
    channels: Mapping[str, bool],
    wishes: Mapping[str, str | bool],
    deps: UnsubscribeDeps,
    now: datetime,
) -> None:
    """What was said about one store."""
    refs = {
        channel: deps.customers.address_of(token.tenant, token.customer_id, channel)
        for channel in channels
        if channel not in UNLESS_REFUSED
    }
    said = {"channels": channels, "wishes": wishes, "addresses": refs, "form": FORM, "wording_text": WORDING}
    envelope = preferences_envelope(token.tenant, token.customer_id, store, said, now)
    deps.events.put_once(envelope)
    for event in events_of(envelope):
        try:
            fold.apply(event, deps.customers, deps.keys(), deps.read_shop(token.tenant))
        except NotFoundError:
            logger("delivery").info("person of a preference is gone", extra={"send_id": token.send_id})


def _refused_everywhere(person: PersonState) -> dict[str, dict[str, bool]]:
    """The whole shop falls silent: on every channel that any of its stores may still use."""
    said_yes = {consent.channel for consent in person.consents if consent.status is ConsentStatus.OPT_IN}
    unasked = {each for each in UNLESS_REFUSED if _is_on(person, each, EVERY_STORE)}
    channels = {each: False for each in LABELS if each in said_yes | unasked}
    return {EVERY_STORE: channels} if channels else {}


def _changed_channels(token: UnsubscribeToken, person: PersonState, choice: Choice) -> dict[str, dict[str, bool]]:
    """Store → channel → wanted or not."""
    changed: dict[str, dict[str, bool]] = {}
    for channel in _offered(person, token):
        store = _store(person, channel, token)
        if (channel in choice.channels) != _is_on(person, channel, store):
            changed.setdefault(store, {})[channel] = channel in choice.channels
    return changed


def _changed_wishes(person: PersonState, choice: Choice, shop: Shop, now: datetime) -> dict[str, str | bool]:
    known = wishes_of(person.attributes)
    changed: dict[str, str | bool] = {}
    if choice.monthly != (known.frequency is Frequency.MONTHLY):
        changed[FREQUENCY] = str(Frequency.MONTHLY if choice.monthly else Frequency.NORMAL)
    if choice.pause != known.paused(now):
        changed[PAUSED_UNTIL] = to_iso(now + PAUSE) if choice.pause else ""
    for topic in shop_topics(shop):
        if (topic.topic_id in choice.topics) != (topic.topic_id not in known.topics_off):
            changed[f"{TOPIC}{topic.topic_id}"] = topic.topic_id in choice.topics
    return changed


def _offered(person: PersonState, token: UnsubscribeToken) -> tuple[str, ...]:
    """The channels that reach this person; the one the link came on is always there."""
    return tuple(each for each in LABELS if each == token.channel or address(person, each))


def _store(person: PersonState, channel: str, token: UnsubscribeToken) -> str:
    """The link says for its own channel which store is meant."""
    return token.store if channel == token.channel else store_of(person, channel, token.store)


def _is_on(person: PersonState, channel: str, store: str) -> bool:
    """As the gate hears it: letters and calls come until somebody says no."""
    status = heard(person, channel, store)
    return status is ConsentStatus.OPT_IN or (channel in UNLESS_REFUSED and status is ConsentStatus.UNKNOWN)


def _form(status: int, state: str, token: UnsubscribeToken, deps: UnsubscribeDeps, now: datetime) -> Page:
    person = deps.customers.person(token.tenant, token.customer_id)
    shop = deps.read_shop(token.tenant)
    if person is None or person.profile.erased:
        return _page(200, "gone", deps, {"shop_name": shop.name})
    known = wishes_of(person.attributes)
    until = known.paused_until if known.paused(now) else None
    context = {
        "shop_name": shop.name,
        "channels": [
            {"id": each, "label": LABELS[each], "on": _is_on(person, each, _store(person, each, token))}
            for each in _offered(person, token)
        ],
        "topics": [
            {"id": each.topic_id, "label": each.label, "on": each.topic_id not in known.topics_off}
            for each in shop_topics(shop)
        ],
        "monthly": known.frequency is Frequency.MONTHLY,
        "paused_until": f"{until.astimezone(ZoneInfo(shop.timezone)):%-m月%-d日}" if until else None,
    }
    return _page(status, state, deps, context)


def _page(status: int, state: str, deps: UnsubscribeDeps, context: Mapping[str, Any]) -> Page:
    given = {"shop_name": "", "channels": [], "topics": [], "monthly": False, "paused_until": None, **context}
    return deps.pages.page(status, "preferences", {**given, "state": state, "title": _TITLES[state]})
