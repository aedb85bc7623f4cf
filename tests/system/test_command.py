"""The `matakite` command over the played day: what a person at the keyboard is told."""

from __future__ import annotations

import json
import re

import pytest

from infra.demo import verify
from infra.demo.story import Role, Shopper
from infra.local.process import LocalPaths
from tests.sql.test_oracle import Bought, people, rfm
from tests.system.conftest import Played
from tests.system.screen import matakite
from tests.system.test_numbers import history

__all__ = ["history"]


def shopper(played: Played, role: Role) -> Shopper:
    """Somebody of the play."""
    return played.day.by_role(role)[0]


def test_customer_show_tells_everything_about_a_person(played: Played, cloud_paths: LocalPaths) -> None:
    who = shopper(played, Role.ORDERS_AFTER_FIRST_MAIL)
    shown = matakite(cloud_paths, "customer", "show", who.buyer.email or "", "--shop", "default")
    assert shown.status == 0, shown.err
    assert who.buyer.first_name in shown.out
    assert f"{sum(item.price * item.quantity for item in who.items):,}" in shown.out
    assert "配信許諾" in shown.out or "許諾" in shown.out
    assert "■ セグメント" in shown.out, "one is saved"
    english = matakite(cloud_paths, "customer", "show", who.buyer.email or "", "--shop", "default", "--language", "en")
    assert english.status == 0
    assert english.out != shown.out


def test_customer_find_knows_a_part_of_a_name_and_a_whole_address_and_stops_at_a_limit(
    played: Played, cloud_paths: LocalPaths
) -> None:
    who = shopper(played, Role.ABANDONS).buyer
    named, addressed, few = (
        matakite(cloud_paths, "customer", "find", *said, "--shop", "default")
        for said in (
            (f"{who.first_name} {who.last_name}", "--limit", "999"),
            (who.email or "",),
            ("mple", "--limit", "3"),
        )
    )
    assert who.email
    assert who.email in named.out, named.err
    assert "1 件\n" in addressed.out, addressed.err
    assert who.email in addressed.out
    assert "3 件まで" in few.out, few.err


@pytest.mark.parametrize(
    ("role", "word"),
    [
        (Role.ABANDONS, "送信"),
        (Role.ORDERS_AFTER_FIRST_MAIL, "購入"),
        (Role.NEVER_AGREED, "許諾"),
        (Role.OPTED_OUT, "配信停止"),
        (Role.BOUNCES, "バウンス"),
    ],
)
def test_explain_says_why(played: Played, cloud_paths: LocalPaths, role: Role, word: str) -> None:
    who = shopper(played, role)
    shown = matakite(cloud_paths, "explain", who.buyer.email or "", "cart_abandoned", "--shop", "default")
    assert shown.status == 0, shown.err
    assert word in shown.out


def test_a_stranger_is_not_found_and_not_repeated(cloud_paths: LocalPaths, played: Played) -> None:
    shown = matakite(cloud_paths, "customer", "show", "nobody@example.jp", "--shop", played.stage.shop.tenant)
    assert shown.status == 1
    assert shown.err.startswith("matakite: nobody with that mail address")
    assert "nobody@example.jp" not in shown.err


def test_connection_list_shows_every_connection_and_no_secret(played: Played, cloud_paths: LocalPaths) -> None:
    shown = matakite(cloud_paths, "connection", "list")
    assert shown.status == 0, shown.err
    assert played.stage.endpoint.url.rpartition("/")[2] in shown.out
    assert played.stage.endpoint.secret not in shown.out


def test_shop_show_prints_the_settings_document(played: Played, cloud_paths: LocalPaths) -> None:
    shown = matakite(cloud_paths, "shop", "show", "default")
    assert shown.status == 0, shown.err
    document = json.loads(shown.out)
    assert document["name"] == played.stage.shop.name
    assert document["timezone"] == "Asia/Tokyo"
    which = matakite(cloud_paths, "shop", "show")
    assert which.status == 1
    assert "--shop" in which.err


def test_scenario_list_and_show(cloud_paths: LocalPaths) -> None:
    shown = matakite(cloud_paths, "scenario", "list")
    assert shown.status == 0, shown.err
    assert "cart_abandoned" in shown.out
    steps = matakite(cloud_paths, "scenario", "show", "cart_abandoned")
    assert all(step in steps.out for step in ("mail_1", "mail_2_high", "mail_3"))


def test_analysis_run_asks_athena_for_any_day(played: Played, cloud_paths: LocalPaths, history: list[Bought]) -> None:
    shown = matakite(
        cloud_paths, "analysis", "run", "rfm_matrix", "--as-of", played.night.isoformat(),
        "--shop", "default", "--format", "json",
    )  # fmt: skip
    assert shown.status == 0, shown.err
    cells = {(row["r"], row["f"]): row["customers"] for row in json.loads(shown.out)}
    expected = [rfm(bought, played.night)[:2] for bought in people(history, played.night).values()]
    assert len(cells) == 36
    assert cells == {cell: expected.count(cell) for cell in cells}


def test_a_night_can_be_run_again_and_says_what_it_wrote(played: Played, cloud_paths: LocalPaths) -> None:
    shown = matakite(cloud_paths, "nightly", "run", "--as-of", played.night.isoformat(), "--shop", "default")
    assert shown.status == 0, shown.err
    assert "complete" in shown.out
    assert re.search(r"\b0 written", shown.out)


def test_the_mail_of_the_play_is_in_the_ledger_the_command_reads(played: Played, cloud_paths: LocalPaths) -> None:
    who = shopper(played, Role.ABANDONS)
    mails = [
        mail
        for mail in verify.outbox(played.cloud.emulator, played.stage.shop.tenant)
        if verify.recipient(mail) == who.buyer.email
    ]
    shown = matakite(cloud_paths, "customer", "show", f"{mails[0]['tags']['customer']}", "--shop", "default")
    assert shown.status == 0, shown.err
    assert all(mail["tags"]["step"] in shown.out for mail in mails)
