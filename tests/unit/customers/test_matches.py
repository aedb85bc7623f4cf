"""Who may be one person, and how two systems write one name."""

from __future__ import annotations

import pytest

from shared.core.ids import CustomerId, TenantId
from shared.customers.matches import matches
from shared.customers.model import Profile
from shared.customers.names import same_name

SHOP = TenantId("mise")


def who(number: str, last: str | None = None, first: str | None = None, **known: str) -> Profile:
    return Profile(SHOP, CustomerId(number), last_name=last, first_name=first, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("髙橋", "太郎"), ("高橋", "太郎")),
        (("山﨑", "花子"), ("山崎", "花子")),
        (("渡邉", "花子"), ("渡辺", "花子")),
        (("ﾔﾏﾀﾞ", "ﾀﾛｳ"), ("ヤマダ", "タロウ")),
        (("やまだ", "たろう"), ("ヤマダ", "タロウ")),
        (("太郎", "高橋"), ("高橋", "太郎")),
        (("高橋　太郎", None), ("髙橋", "太郎")),
        (("高橋太郎", ""), ("太郎", "高橋")),
        (("Ｔａｒｏ", "Mihon"), ("mihon", "taro")),
    ],
)
def test_names_that_differ_in_writing_only_are_the_same(
    one: tuple[str | None, str | None], other: tuple[str | None, str | None]
) -> None:
    assert same_name(one, other)
    assert same_name(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("高橋", "太郎"), ("高橋", "花子")),
        (("高橋", None), ("高橋", None)),
        ((None, None), (None, None)),
        (("高橋", "太郎"), (None, None)),
        (("高橋", "太郎"), ("高梁", "太郎")),
    ],
)
def test_names_that_say_too_little_or_differ_are_not(
    one: tuple[str | None, str | None], other: tuple[str | None, str | None]
) -> None:
    assert not same_name(one, other)


def pairs(*people: Profile) -> list[tuple[str, str, str]]:
    return [(match.one, match.other, match.because) for match in matches(people)]


def test_a_telephone_number_with_the_same_name_is_a_match() -> None:
    phone = {"phone": "+819000000001"}
    assert pairs(who("a", "髙橋", "太郎", **phone), who("b", "高橋", "太郎", **phone)) == [("a", "b", "phone_and_name")]
    assert pairs(who("a", "高橋", "太郎", **phone), who("b", **phone)) == [("a", "b", "phone_and_name")]


def test_a_family_at_one_telephone_and_address_is_no_match() -> None:
    home = {"phone": "+81300000001", "postal_code": "100-0000", "address": "千代田区見本町1-1"}
    assert pairs(who("a", "高橋", "太郎", **home), who("b", "高橋", "花子", **home)) == []


def test_a_telephone_of_many_says_nothing() -> None:
    office = {"phone": "+81300000001"}
    assert pairs(*(who(str(n), "高橋", "太郎", **office) for n in range(4))) == []


def test_the_same_name_at_the_same_place_is_a_match() -> None:
    one = who("a", "髙橋", "太郎", postal_code="１００－００００")
    assert pairs(one, who("b", "太郎", "高橋", postal_code="100-0000")) == [("a", "b", "name_and_address")]
    assert pairs(one, who("b", "太郎", "高橋", postal_code="100-0001")) == []


def test_whoever_is_erased_matches_nobody() -> None:
    gone = Profile(SHOP, CustomerId("a"), phone="+819000000001", erased=True)
    assert pairs(gone, who("b", phone="+819000000001")) == []
