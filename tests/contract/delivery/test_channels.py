"""One suite over every channel, in memory and over its provider's stand-in: what each failure leaves certain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.ids import SendId
from shared.delivery.channels.channel import Accepted, AmbiguousError, Message, NotSentError, RefusedError, StoppedError
from shared.delivery.channels.fake import Fault
from tests.contract.delivery.providers import InMemory, Provider

PROVIDERS = [
    "local_ses",
    "local_sms",
    "local_line",
    "local_postal",
    "local_call",
    "local_webhook",
    "call_endpoint",
    "notify_endpoint",
]


@pytest.fixture(params=["memory", "memory with repeats", *PROVIDERS])
def provider(request: pytest.FixtureRequest) -> Provider:
    if request.param.startswith("memory"):
        return InMemory(timedelta(hours=24) if "repeats" in request.param else None)
    found: Provider = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def message(provider: Provider) -> Message:
    return provider.message()


def test_a_message_is_accepted_once_and_gets_an_id(provider: Provider, message: Message) -> None:
    accepted = provider.channel.send(message)
    assert isinstance(accepted, Accepted)
    assert accepted.message_id
    assert provider.accepted(message.key.send_id) == 1


def test_two_messages_get_two_ids(provider: Provider, message: Message) -> None:
    other = replace(message, key=replace(message.key, send_id=SendId("another")))
    assert provider.channel.send(message) != provider.channel.send(other)


@pytest.mark.parametrize("fault", [Fault.THROTTLE, Fault.UNREACHABLE])
def test_what_was_surely_not_sent_may_be_sent_again(provider: Provider, message: Message, fault: Fault) -> None:
    provider.plan(fault)
    with pytest.raises(NotSentError):
        provider.channel.send(message)
    assert provider.accepted(message.key.send_id) == 0


def test_a_paused_account_stops_everything(provider: Provider, message: Message) -> None:
    provider.plan(Fault.PAUSE)
    with pytest.raises(StoppedError):
        provider.channel.send(message)
    assert provider.accepted(message.key.send_id) == 0


def test_a_message_that_is_refused_is_refused_for_good(provider: Provider, message: Message) -> None:
    provider.plan(Fault.REJECT)
    with pytest.raises(RefusedError) as refused:
        provider.channel.send(message)
    assert provider.accepted(message.key.send_id) == 0
    assert message.to not in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "accepted"),
    [(Fault.FAIL_BEFORE, 0), (Fault.FAIL_AFTER, 1), (Fault.LOSE_REPLY, 1), (Fault.HANG, 1)],
)
def test_what_nobody_knows_is_ambiguous_and_never_repeated(
    provider: Provider, message: Message, fault: Fault, accepted: int
) -> None:
    provider.plan(fault)
    with pytest.raises(AmbiguousError):
        provider.channel.send(message)
    assert provider.accepted(message.key.send_id) == accepted
    provider.channel.send(replace(message, key=replace(message.key, send_id=SendId("next"))))


@pytest.mark.parametrize("fault", [Fault.FAIL_BEFORE, Fault.FAIL_AFTER, Fault.LOSE_REPLY, Fault.HANG])
def test_a_repeat_is_no_second_message_where_the_channel_says_so(
    provider: Provider, message: Message, fault: Fault
) -> None:
    if provider.channel.repeats is None:
        pytest.skip("a send in doubt is never repeated on this channel")
    provider.plan(fault)
    with pytest.raises(AmbiguousError):
        provider.channel.send(message)
    first, again = provider.channel.send(message), provider.channel.send(message)
    assert first == again
    assert provider.accepted(message.key.send_id) == 1
