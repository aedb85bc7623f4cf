"""A note to the shop's staff, through the local SES and bucket: mailed once, and in the tray whatever happens."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from infra.local.process import internal
from shared.core.errors import MisconfiguredError
from shared.core.ids import SendId, TenantId
from shared.delivery.channels.call import PART as CALL
from shared.delivery.channels.call import CallChannel
from shared.delivery.channels.handover import TEXT, HandoverChannel
from shared.delivery.pace.store import MemoryPaceStore
from shared.delivery.staff import A_DAY, StaffMail, staff_of
from shared.delivery.tray import MemoryTray, S3Tray, Tray, waiting
from tests.contract.delivery.providers import BUCKET, LocalSes
from tests.unit.delivery.messages import a_mail
from tests.unit.delivery.world import a_shop

STAFF = "staff@shop.example.jp, owner@shop.example.jp"
WORDS = "アンケートで「不満」のお答えがありました\n\n早めにご様子をお伺いください。\n"
SHOP = TenantId("mihon")


@pytest.fixture(params=["memory", "s3"])
def tray(request: pytest.FixtureRequest) -> Tray:
    if request.param == "memory":
        return MemoryTray()
    request.getfixturevalue("work_bucket")
    return S3Tray(BUCKET, request.getfixturevalue("cloud").client("s3"))


def channel(ses: LocalSes, tray: Tray, pace: MemoryPaceStore | None = None, **section: Any) -> HandoverChannel:
    shop = a_shop(**{"staff_mail": STAFF} | section)
    client: Any = ses.cloud.client("sesv2")
    mail = StaffMail(lambda _: shop, (pace or MemoryPaceStore()).count_day, client)
    return HandoverChannel("notify", tray, (TEXT,), staff=mail)


def a_note() -> Any:
    return replace(a_mail(), parts={TEXT: WORDS})


def mailed(ses: LocalSes, note: Any) -> list[dict[str, Any]]:
    """What the local SES took that names this note's person and step."""
    items = internal(ses.cloud.emulator, "GET", "/_matakite/outbox?limit=500")["messages"]
    full = [internal(ses.cloud.emulator, "GET", f"/_matakite/outbox/{item['message_id']}") for item in items]
    return [mail for mail in full if note.step in mail["text"] and "staff@shop.example.jp" in mail["to"]]


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Any:
    return replace(a_note(), step=f"staff_{abs(hash(request.node.nodeid)) % 10**9}")


def test_the_staff_is_mailed_once_with_ids_and_commands_and_no_personal_data(
    local_ses: LocalSes, tray: Tray, note: Any
) -> None:
    notify = channel(local_ses, tray)
    for _ in range(3):
        notify.send(note)
    (mail,) = mailed(local_ses, note)
    assert mail["to"] == ["staff@shop.example.jp", "owner@shop.example.jp"]
    assert mail["subject"] == "【社内通知】アンケートで「不満」のお答えがありました"
    assert f"matakite customer show {note.key.customer_id}" in mail["text"]
    assert f"matakite explain {note.key.customer_id} {note.scenario}" in mail["text"]
    assert "hanako" not in json.dumps(mail, ensure_ascii=False)
    assert not mail["tags"], "a bounce of the staff's mailbox is no bounce of the customer's"
    found = [each for each in waiting(tray, SHOP, "notify") if each["send_id"] == note.key.send_id]
    assert [each["notify"] for each in found] == [WORDS]


def test_a_call_that_waits_is_told_without_name_and_number(local_ses: LocalSes, note: Any) -> None:
    task = {"reason": "定期の解約見込み", "script": "ご様子を伺う", "name": "見本花子", "deadline": "3営業日以内"}
    told = channel(local_ses, MemoryTray()).staff
    call = CallChannel(lambda _: None, MemoryTray(), staff=told)
    for _ in range(2):
        call.send(replace(note, to="+818000000001", parts={CALL: json.dumps(task)}))
    (mail,) = mailed(local_ses, note)
    assert "期限: 3営業日以内" in mail["text"]
    assert "matakite call export" in mail["text"]
    assert not any(word in json.dumps(mail, ensure_ascii=False) for word in ("花子", "818000000001", "ご様子を伺う"))


def test_a_mail_that_could_not_leave_leaves_its_note_in_the_tray(local_ses: LocalSes, tray: Tray, note: Any) -> None:
    internal(local_ses.cloud.emulator, "POST", "/_matakite/ses", {"sending_paused": True})
    channel(local_ses, tray).send(note)
    internal(local_ses.cloud.emulator, "POST", "/_matakite/ses", {"sending_paused": False})
    assert mailed(local_ses, note) == []
    assert note.key.send_id in {each["send_id"] for each in waiting(tray, SHOP, "notify")}


def test_a_mailbox_is_not_filled_and_a_shop_without_one_is_not_mailed(local_ses: LocalSes, note: Any) -> None:
    pace, tray = MemoryPaceStore(), MemoryTray()
    notify = channel(local_ses, tray, pace)
    for number in range(A_DAY):
        notify.send(replace(note, key=replace(note.key, send_id=SendId(f"note-{number}"))))
    last = replace(note, key=replace(note.key, send_id=SendId("one-too-many")), step=f"{note.step}_last")
    notify.send(last)
    channel(local_ses, tray, staff_mail="").send(replace(last, key=replace(note.key, send_id=SendId("no-staff"))))
    assert (len(mailed(local_ses, note)), mailed(local_ses, last)) == (A_DAY, [])
    assert len(waiting(tray, SHOP, "notify")) == A_DAY + 2


@pytest.mark.parametrize("said", ["staff", "a@b.example.jp,", ["a@example.jp"] * 6, [1], "a@example.jp;b@example.jp"])
def test_what_is_no_address_is_refused_when_it_is_set(said: Any) -> None:
    with pytest.raises(MisconfiguredError, match="staff_mail"):
        staff_of(a_shop(staff_mail=said))


def test_one_address_or_several_are_read() -> None:
    assert staff_of(a_shop()) == ()
    assert staff_of(a_shop(staff_mail="a@example.jp")) == ("a@example.jp",)
    assert staff_of(a_shop(staff_mail=["a@example.jp", "b@example.jp"])) == ("a@example.jp", "b@example.jp")
