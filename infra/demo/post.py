"""Posts the day's calls to the public endpoint, several at a time, and counts the answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import urllib3

from infra.demo import shopify
from infra.demo.story import SHOP, Answer, Call

_STATUS = {Answer.STORED: 200, Answer.UNAUTHORISED: 401, Answer.MALFORMED: 400}


@dataclass(frozen=True)
class Endpoint:
    """Where to post, and how to sign: what `matakite connection add shopify` printed."""

    url: str
    secret: str
    shop: str = SHOP

    @property
    def stranger(self) -> str:
        """The URL of a connection that does not exist."""
        return self.url.rpartition("/")[0] + "/" + "0" * 26


@dataclass
class Tally:
    """What the endpoint answered."""

    answers: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)

    def add(self, call: Call, status: int, message: str) -> None:
        """Count one answer; keep it when it is not the expected one."""
        self.answers[_word(status, message)] += 1
        if status != _STATUS[call.expected]:
            self.surprises.append(f"{call.topic}: {status} instead of {_STATUS[call.expected]} ({message[:80]})")


def post_all(
    endpoint: Endpoint, calls: Iterable[Call], progress: Callable[[], None] = lambda: None, workers: int = 6
) -> Tally:
    """Post every call, `workers` at a time, roughly in order."""
    tally = Tally()
    pool = urllib3.PoolManager(maxsize=workers, retries=False, timeout=30)

    def post(call: Call) -> None:
        status, message = _post(pool, endpoint, call)
        tally.add(call, status, message)
        progress()

    with ThreadPoolExecutor(workers) as executor:
        for future in [executor.submit(post, call) for call in calls]:
            future.result()
    return tally


def _post(pool: urllib3.PoolManager, endpoint: Endpoint, call: Call) -> tuple[int, str]:
    secret = endpoint.secret if call.signed else "not-the-secret"
    headers = shopify.headers(call.topic, call.body, secret, shop=endpoint.shop, webhook_id=call.webhook_id, at=call.at)
    url = endpoint.stranger if call.unknown_connection else endpoint.url
    response = pool.request("POST", url, body=call.body, headers=headers)
    return response.status, response.data.decode(errors="replace")


def _word(status: int, message: str) -> str:
    if status == 200:
        return "duplicate" if "already" in message else "accepted"
    return "refused"
