"""A channel is a file in `shared/delivery/channels`; what else must know of it is said here, place by place.

Its address, its price, its consent and its name on the screens are no business of the file that hands a message over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from shared.admin.labels import CHANNELS as NAMES
from shared.core.errors import RejectedError
from shared.customers.model import PersonState
from shared.customers.store import MemoryCustomerStore
from shared.delivery import channels, live
from shared.delivery.channels.channel import Channel
from shared.delivery.channels.fake import MAIL
from shared.delivery.lint_parts import OTHER_PARTS
from shared.delivery.preference_centre import LABELS
from shared.delivery.rules import address
from shared.ingest.model import ConsentFacts
from shared.measurement.cost.preview import preview
from shared.measurement.cost.prices import read_prices
from shared.scenarios.examples import PARTS
from shared.scenarios.language.steps import HANDOVERS
from shared.scenarios.language.words import ChannelName
from tests.contract.delivery.test_channels import PROVIDERS
from tests.unit.delivery.world import KEYS, a_person

SERVES = {"ses": ("email",), "handover": ("notify", "export")}
"""File → its channels, where they are not one of the file's own name."""
FILES = sorted({file.stem for file in Path(*channels.__path__).glob("[a-z]*.py")} - {"channel", "fake"})
HANDED = {step.__name__.lower() for step in HANDOVERS}
"""They reach the shop and its systems, not a person: neither consent nor a choice of the customer's."""

Deployed = dict[str, Channel]


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    """Every channel of a deployment, made; nothing is called."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "load_key_ring", lambda _secret: KEYS)
        patch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
        deps = live.live_send_deps("deliveries", MemoryCustomerStore(), "keys", "set", "/matakite", "work")
        yield dict(deps.channels)


def somebody() -> PersonState:
    """Reachable in every way there is; a new kind of address belongs into this person."""
    return a_person(
        phone="+818000000001",
        line_user_id="U1",
        first_name="花子",
        postal_code="100-0001",
        address="東京都千代田区千代田1-1",
    )


@pytest.mark.parametrize("file", FILES)
def test_what_a_channel_needs_beside_its_file_is_there(file: str, deployed: Deployed) -> None:
    proven = {f"local_{file}"} | {f"{name}_endpoint" for name in SERVES.get(file, (file,))}
    missing = [] if proven & set(PROVIDERS) else [f"tests/contract/delivery/providers.py: what stands behind {file}"]
    for name in SERVES.get(file, (file,)):
        missing += [f"{place}: {name}" for place, there in _places(name, deployed).items() if not there()]
    assert not missing, "\n".join(["write", *missing])


def _places(name: str, deployed: Deployed) -> dict[str, Callable[[], bool]]:
    """Where a channel must be known → whether it is."""
    parts = {**PARTS, "email": MAIL}
    places: dict[str, Callable[[], bool]] = {
        "shared/delivery/live.py, makers: how a deployment makes it": lambda: name in deployed,
        "shared/delivery/rules.py address: where it reaches a person": lambda: bool(address(somebody(), name)),
        "shared/scenarios/examples.py PARTS: its parts, as it declares them": lambda: (
            name in parts and (name not in deployed or parts[name] == deployed[name].parts)
        ),
        "shared/delivery/lint_parts.py OTHER_PARTS: what its parts must hold": lambda: (
            set(parts.get(name, ())) <= {*OTHER_PARTS, *MAIL}
        ),
        "shared/admin/labels.py CHANNELS: its name on the screens": lambda: name in NAMES,
        "shared/measurement/cost/preview.py: what a message costs": lambda: _priced(name),
    }
    of_people: dict[str, Callable[[], bool]] = {
        "shared/scenarios/language/words.py ChannelName": lambda: name in get_args(ChannelName),
        "shared/ingest/model.py ConsentFacts.channel": lambda: (
            name in get_args(get_type_hints(ConsentFacts)["channel"])
        ),
        "shared/delivery/preference_centre.py LABELS: its line of the customer's choices": lambda: name in LABELS,
    }
    return places if name in HANDED else places | of_people


def _priced(name: str) -> bool:
    try:
        preview([{name: 1}], 1, read_prices(), datetime(2026, 11, 22, tzinfo=UTC))
    except RejectedError:
        return False
    return True
