"""Chaos of what follows links by itself: scanners, previews, browsers that load ahead (T16), for every kind of link."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from shared.core.ids import CustomerId
from shared.delivery import line_link, preference_centre, unsubscribe
from shared.delivery.links import clicks
from shared.ingest import confirm
from shared.ingest.surveys.answer import answer_http, show_http
from shared.ingest.surveys.tokens import sign as sign_survey
from tests.chaos.saying_no import FORM, Site
from tests.unit.delivery import test_clicks, test_line_link
from tests.unit.delivery.world import KEYS, STORE, TENANT, VirtualTime, a_shop
from tests.unit.ingest.surveys import world as surveys

Fields = Sequence[tuple[str, str]]
Asked = Mapping[str, Any]
"""A request as API Gateway hands it over."""

SCANNERS: tuple[Mapping[str, str], ...] = (
    {"user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) SafeLinks"},
    {"user-agent": "Barracuda Sentinel (EE)", "cookie": "session=1"},
    {"user-agent": "Slackbot-LinkExpanding 1.0", "range": "bytes=0-32768"},
    {"user-agent": "GoogleImageProxy", "referer": "https://mail.google.com/"},
    {"purpose": "prefetch", "sec-purpose": "prefetch;prerender"},
)


class Door(Protocol):
    """A page behind a signed link."""

    fields: Fields
    """What its button posts."""
    multipart: bool
    """May mail programs post it as well, in either encoding (RFC 8058)?"""
    time: VirtualTime

    def ask(self, asked: Asked) -> Mapping[str, Any]:
        """The answer to one request."""
        ...

    def state(self) -> str:
        """Everything that is stored and decided by."""
        ...

    def check_done(self) -> None:
        """After five of the same POST."""
        ...


class WayOut:
    """配信停止."""

    fields: Fields = (("List-Unsubscribe", "One-Click"),)
    multipart = True

    def __init__(self, rng: random.Random) -> None:
        self.site = Site(rng)
        self.time = self.site.time
        if rng.random() < 0.5:
            self.fields = (*self.fields, ("said", "page"))

    def ask(self, asked: Asked) -> Mapping[str, Any]:
        """See Door."""
        event = {**asked, "pathParameters": {"token": self.site.link}}
        return unsubscribe.answer_http(event, self.site.deps, self.time.now())

    def state(self) -> str:
        """See Door."""
        return self.site.state()

    def check_done(self) -> None:
        """See Door."""
        assert self.site.is_out()
        assert len(self.site.events.envelopes()) == 1, "five POSTs are more than one opt-out"


class Preferences(WayOut):
    """配信設定: everything is unticked."""

    fields: Fields = (("form", "preferences"),)
    multipart = False

    def ask(self, asked: Asked) -> Mapping[str, Any]:
        """See Door."""
        event = {**asked, "pathParameters": {"token": self.site.link}}
        return preference_centre.answer_http(event, self.site.deps, self.time.now())


class Survey:
    """アンケート."""

    fields: Fields = (("q_how", "ad"), ("q_nps", "7"), ("q_voice", "おいしかった"))
    multipart = False

    def __init__(self, rng: random.Random) -> None:
        self.time = VirtualTime(surveys.NOW)
        self.desk = surveys.Desk()
        self.link = sign_survey(surveys.TOKEN, surveys.KEYS)

    def ask(self, asked: Asked) -> Mapping[str, Any]:
        """See Door."""
        event = {**asked, "pathParameters": {"token": self.link}}
        page = answer_http if asked["requestContext"]["http"]["method"] == "POST" else show_http
        return page(event, self.desk.deps(), self.time.now())

    def state(self) -> str:
        """See Door."""
        return repr(self.desk.store.envelopes())

    def check_done(self) -> None:
        """See Door."""
        assert len(self.desk.store.envelopes()) == 1, "five POSTs are more than one answer"


class Confirmation:
    """ダブルオプトイン: the owner of an address confirms."""

    fields: Fields = ()
    multipart = True

    def __init__(self, rng: random.Random) -> None:
        self.site = Site(rng)
        self.time = self.site.time
        token = confirm.ConfirmToken(TENANT, CustomerId("hanako"), STORE, self.time.now())
        self.link = confirm.sign(token, KEYS)
        self.deps = confirm.ConfirmDeps(lambda: KEYS, lambda _: a_shop(), self.site.events)

    def ask(self, asked: Asked) -> Mapping[str, Any]:
        """See Door."""
        return confirm.confirm_http({**asked, "pathParameters": {"token": self.link}}, self.deps, self.time.now())

    def state(self) -> str:
        """See Door."""
        return self.site.state()

    def check_done(self) -> None:
        """See Door."""
        assert len(self.site.events.envelopes()) == 1, "five POSTs are more than one consent"


class LineLink:
    """LINE ID連携: whoever presses the button is sent to LINE; nobody is linked before LINE says so."""

    fields: Fields = ()
    multipart = True

    def __init__(self, rng: random.Random) -> None:
        self.site = test_line_link.Site()
        self.time = VirtualTime()
        self.path = line_link.link_path(TENANT, self.site.customer, KEYS, self.time.now())
        self.known = self._known()

    def ask(self, asked: Asked) -> Mapping[str, Any]:
        """See Door."""
        link = {"token": self.path.rpartition("/")[2]}
        event = {**asked, "pathParameters": link, "queryStringParameters": {"linkToken": "link-token"}}
        return line_link.answer_http(event, self.site.deps, self.time.now())

    def state(self) -> str:
        """See Door."""
        return repr((self._known(), self.site.events.envelopes()))

    def _known(self) -> str:
        return repr(self.site.customers.person(TENANT, self.site.customer))

    def check_done(self) -> None:
        """See Door."""
        assert self._known() == self.known, "linked before LINE said so"


class Click:
    """クリック計測: led on every time; what no person did is known as that, and decides nothing."""

    fields: Fields = ()
    multipart = True

    def __init__(self, rng: random.Random) -> None:
        self.road = test_clicks.Road()
        self.time = VirtualTime(test_clicks.LATER)

    def ask(self, asked: Asked) -> Mapping[str, Any]:
        """See Door."""
        # The route has no POST: five times the person's own browser.
        reads = asked["requestContext"]["http"]["method"] == "POST"
        headers = test_clicks.PHONE if reads else asked["headers"]
        event = {**asked, "headers": headers, "pathParameters": {"token": self.road.token}}
        answer = clicks.answer_http(event, self.road.deps, self.time.now())
        assert answer["headers"]["location"] == test_clicks.URL
        return {**answer, "headers": {}}

    def state(self) -> str:
        """See Door."""
        read = [facts for facts in self.road.facts() if not facts.machine]
        return repr((self.road.reactions(), read))

    def check_done(self) -> None:
        """See Door."""
        assert self.road.reactions() == {clicks.CLICKED}


DOORS: tuple[Callable[[random.Random], Door], ...] = (WayOut, Preferences, Survey, Confirmation, LineLink, Click)
_DONE = {200, 302, 303}


def scanned(case: int, rng: random.Random) -> None:
    """T16: a scanner follows a link in ten ways and changes nothing; five POSTs, however encoded, are one act."""
    door = DOORS[case % len(DOORS)](rng)
    before = door.state()
    for _ in range(10):
        method = rng.choice(["GET", "GET", "HEAD", "OPTIONS", "PUT", "get"])
        door.ask(_request(method, dict(rng.choice(SCANNERS)), rng.choice([b"", _urlencoded(door.fields)])))
        door.time.pass_(rng.choice([0.0, 0.5, 3600]))
    assert door.state() == before, f"a scanner changed something: {type(door).__name__}"
    for _ in range(5):
        headers, body = _encoded(rng, door, dict(rng.choice(SCANNERS)) if rng.random() < 0.5 else {})
        answer = door.ask(_request("POST", headers, body))
        assert answer["statusCode"] in _DONE, f"case {case}: POST answered {answer['statusCode']}"
        assert "set-cookie" not in answer["headers"]
        door.time.pass_(rng.choice([0.0, 60]))
    door.check_done()


def _urlencoded(fields: Fields) -> bytes:
    return "&".join(f"{name}={value}" for name, value in fields).encode()


def _encoded(rng: random.Random, door: Door, headers: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    if not door.multipart or rng.random() < 0.5:
        return {**headers, "content-type": FORM}, _urlencoded(door.fields)
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in door.fields
    )
    return {**headers, "content-type": "multipart/form-data; boundary=b"}, f"{parts}--b--\r\n".encode()


def _request(method: str, headers: Mapping[str, str], body: bytes) -> Asked:
    return {
        "requestContext": {"http": {"method": method, "sourceIp": "192.0.2.1"}},
        "headers": dict(headers),
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
