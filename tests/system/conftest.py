"""One deployed cloud for the whole suite, and one played day in it.

Tests that only read share the played day (shop `default`). Tests that write open a shop of their own (`open_shop`) in
the same cloud: every key starts with the shop, so one shop's noise is not in another's books.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from infra.cli.analysis import follow_night
from infra.cli.importing import import_file
from infra.cli.session import Deployment
from infra.demo import acts, cdnow, story
from infra.demo.post import Tally
from infra.demo.settle import settle
from infra.demo.stage import Stage, import_history, set_up, today
from infra.demo.story import Day
from infra.local import lifecycle
from infra.local.lifecycle import LocalCloud
from infra.local.process import LocalPaths, free_port, internal, set_wait_scale
from infra.node import use_bundled_node
from shared.core.clock import SystemClock
from shared.core.ids import TenantId
from shared.ingest.files.model import FileOptions
from tests.system.screen import Screen, matakite

CUSTOMERS = 400
SHOPPERS = 40
SEED = 11
LEAD = timedelta(seconds=15)
"""Until the day's carts are due: meanwhile they are posted and the night runs. It may take longer: schedules wait."""

SEGMENT = "r1f1"
"""Saved from a cell of a table before the night, which evaluates it."""

CAMPAIGNS = ("haru", "aki")
"""Coupons made before the night, which reads their codes: two files, so that it also has something to put together."""

SHOPS = (
    "default", "gate", "imports", "privacy", "exits", "grants", "websites", "pages", "inbox", "polls", "erasure",
    "outage", "people",
)  # fmt: skip
"""Every shop of the suite; whoever needs one of their own adds its id here."""

OpenShop = Callable[[str], Stage]


@dataclass(frozen=True)
class Played:
    """The day, played to its end."""

    stage: Stage
    cloud: LocalCloud
    day: Day
    night: date
    """The day the nightly run was for."""
    saved: Screen
    """What `matakite segment save` said of `SEGMENT`."""
    answers: Counter[str]
    surprises: tuple[str, ...]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Permissions last: by then the whole suite has exercised every grant."""
    items.sort(key=lambda item: item.path.name == "test_permissions.py" and item.path.parent.name == "system")


@pytest.fixture(scope="session")
def cloud_paths(tmp_path_factory: pytest.TempPathFactory) -> LocalPaths:
    """Where the suite's local cloud keeps its files: never where the developer's is."""
    return LocalPaths(tmp_path_factory.mktemp("cloud"))


@pytest.fixture(scope="session")
def cloud(cloud_paths: LocalPaths) -> Iterator[LocalCloud]:
    """Our stacks, synthesised and deployed into an emulator of their own."""
    use_bundled_node()
    running = lifecycle.up(paths=cloud_paths, port=free_port(), wait_scale=acts.WAIT_SCALE)
    yield running
    lifecycle.down(cloud_paths)


@pytest.fixture(scope="session")
def opened(cloud: LocalCloud) -> dict[str, Stage]:
    """Every shop, before anything sweeps: a function that looks for shops knows a new one five minutes later."""
    deployment = Deployment(cloud.session, cloud.emulator.endpoint)
    return {tenant: set_up(deployment, TenantId(tenant)) for tenant in SHOPS}


@pytest.fixture(scope="session")
def deployment(opened: dict[str, Stage]) -> Deployment:
    """What the command and the demo work with."""
    return opened["default"].deployment


@pytest.fixture(scope="session")
def open_shop(opened: dict[str, Stage]) -> OpenShop:
    """Another shop with a connected cart, by its id: one of `SHOPS`."""
    return opened.__getitem__


@pytest.fixture(scope="session")
def stage(open_shop: OpenShop) -> Stage:
    """The demo's shop, `default`."""
    return open_shop("default")


@dataclass(frozen=True)
class Outage:
    """A shop that had a new customer on each of the three days up to yesterday, and no night since."""

    stage: Stage
    missed: tuple[date, ...]
    """Those days, oldest first."""


@pytest.fixture(scope="session")
def outage(cloud: LocalCloud, open_shop: OpenShop, tmp_path_factory: pytest.TempPathFactory) -> Outage:
    """Its customers have names that a spreadsheet would run."""
    stage, file = open_shop("outage"), tmp_path_factory.mktemp("outage") / "orders.csv"
    missed = tuple(today(stage.shop) - timedelta(days=ago) for ago in (3, 2, 1))
    orders = [f"B-{n},{n},{n}@example.jp,=1+{n},@SUM({n}),{day},1000" for n, day in enumerate(missed)]
    file.write_text("\n".join(["注文番号,顧客番号,メールアドレス,姓,名,注文日,合計金額", *orders]), "utf-8")
    options = FileOptions(stage.shop.tenant, stage.shop.timezone, stage.shop.currency)
    import_file(stage.deployment, stage.shop, file, "orders", options, lambda *_: None)
    settle(cloud.emulator, executions=False)
    return Outage(stage, missed)


@pytest.fixture(scope="session")
def played(
    cloud: LocalCloud, cloud_paths: LocalPaths, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Played:
    """A history imported, scored, and a shop's day played until the last mail has been heard of."""
    import_history(stage, tmp_path_factory.mktemp("history") / "orders.csv", CUSTOMERS)
    row = ("--from-analysis", "rfm_matrix", "--row", "r=1,f=1", "--name", SEGMENT, "--title", "一度きり")
    saved = matakite(cloud_paths, "segment", "save", *row, "--shop", "default")
    for campaign in CAMPAIGNS:
        codes = (
            "--prefix",
            campaign.upper(),
            "--count",
            "5",
            "--out",
            str(tmp_path_factory.mktemp(campaign) / "c.csv"),
        )
        made = matakite(
            cloud_paths, "mail", "coupon", "make", campaign, *codes, "--benefit", "10%引き", "--shop", "default"
        )
        assert made.status == 0, made.err
    with schedules_paused(cloud):
        day, tallies, night = _play(stage, cloud)
    answers = tallies[0].answers + tallies[1].answers
    return Played(stage, cloud, day, night, saved, answers, (*tallies[0].surprises, *tallies[1].surprises))


def _play(stage: Stage, cloud: LocalCloud) -> tuple[Day, tuple[Tally, Tally], date]:
    day = story.play(SystemClock().now(), shoppers=SHOPPERS, lead=LEAD, seed=SEED, customers=CUSTOMERS)
    morning = acts.morning(stage, cloud.emulator, day)
    night = cdnow.yesterday(today(stage.shop))
    follow_night(stage.deployment, stage.shop, night)  # while the carts grow old
    due_at = max(shopper.touched_at for shopper in day.shoppers) + story.TOUCHED_BEFORE_DUE
    acts.first_mails(stage, cloud.emulator, due_at)
    evening = acts.evening(stage, cloud.emulator, day)
    set_wait_scale(cloud.emulator, acts.HURRY)
    acts.all_mails(cloud.emulator)
    set_wait_scale(cloud.emulator, acts.WAIT_SCALE)
    return day, (morning, evening), night


@contextmanager
def schedules_paused(cloud: LocalCloud) -> Iterator[None]:
    """While inside, schedules fire only when told to."""
    internal(cloud.emulator, "POST", "/_matakite/schedules/pause", {"paused": True})
    try:
        yield
    finally:
        internal(cloud.emulator, "POST", "/_matakite/schedules/pause", {"paused": False})


def fire_schedule(cloud: LocalCloud, part: str) -> None:
    """Let the one schedule with this in its name fire now, with its own role."""
    schedules = internal(cloud.emulator, "GET", "/_matakite/schedules")
    (name,) = [each["name"] for each in schedules if part in each["name"]]
    internal(cloud.emulator, "POST", "/_matakite/schedules/fire", {"name": name})
