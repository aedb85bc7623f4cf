"""A definition's mistakes are told with line, reason and suggestion; what is right is read as it was meant."""

from __future__ import annotations

import json

import pytest

from shared.analytics.segments.model import MAX_CONDITIONS, Group, Join
from shared.analytics.segments.read import read_document, read_text
from shared.core.mistakes import InvalidFileError

HEAD = "name: x\ntitle: 見本\nmembers:\n"


def mistakes(text: str) -> list[str]:
    """What is said of a definition."""
    with pytest.raises(InvalidFileError) as caught:
        read_text(text, "x.yaml")
    return [str(each) for each in caught.value.mistakes]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ("  order: {}", "x.yaml:4: members.order: is no condition. Did you mean 'orders'?"),
        ("  orders: {cuont: 1}", "x.yaml:4: members.orders.cuont: is not known here: there are within_days"),
        ("  orders: {cuont: 1}", "Did you mean 'count'?"),
        (
            "  orders:\n    count: {atleast: 3}",
            "x.yaml:5: members.orders.count.atleast: is not known here: there are at_least",
        ),
        ("  orders: {count: {atleast: 3}}", "Did you mean 'at_least'?"),
        ("  orders: {count: '3'}", "a number or a comparison such as {at_least: 3} is needed, got '3'"),
        ("  orders: {count: true}", "a number or a comparison such as {at_least: 3} is needed, got True"),
        ("  orders: {count: {}}", "say one of at_least, at_most, more_than, less_than, is"),
        ("  orders: {sum: {at_least: .inf}}", "less than or equal to 1000000000000000, got inf"),
        ("  orders: {sum: {at_least: .nan}}", "got nan"),
        ("  orders: {within_days: 0}", "greater than or equal to 1, got 0"),
        ("  orders: {within_days: 1.5}", "x.yaml:4: members.orders.within_days"),
        ("  orders: {since: 2026-13-01}", "a day such as 2026-11-21 is needed, got '2026-13-01'"),
        ("  orders: {since: 5}", "a day such as 2026-11-21 is needed, got 5"),
        ("  orders: {offline: 1}", "valid boolean"),
        ("  orders: 3", "a mapping is needed, got 3"),
        ("  gender: femal", "'femal' is not one of female, male, other. Did you mean 'female'?"),
        ("  status: atrisk", "Did you mean 'at_risk'?"),
        ("  status: {is: loyal, since: 3}", "is not known here: there are is, since_days"),
        ("  ltv_tier: [hihg]", "Did you mean 'high'?"),
        ("  rfm: {rank: 優}", "is not one of 優良"),
        ("  rfm: {}", "say r, f, m or rank"),
        ("  age: [30]", "a number or a comparison"),
        ("  prefecture: 13", "a text is needed, got 13. Put it in quotes"),
        ("  prefecture: []", "at least 1 item"),
        ("  tag: ''", "at least 1 character"),
        ("  points: {}", "say balance, expiring or expires_in_days"),
        ("  custom: {name: a}", "say number or yes"),
        ("  custom: {name: a, is: b}", "is not known here"),
        ("  consent: {channel: mail}", "'mail' is not one of email, sms, line, postal, call. Did you mean 'email'?"),
        ("  consent: {}", "members.consent.channel: is missing"),
        ("  sample: {percent: 101, seed: a}", "less than or equal to 100"),
        ("  messages: {event: open}", "Did you mean 'opened'?"),
        ("  visits: {kind: pages}", "Did you mean 'page'?"),
        ("  - tag: a", "a list says not how its conditions are joined. Write all:, any: or none: before it"),
        ("  tag: a\n  gender: male", "one condition (or all, any, none) is needed here, got 2 words (tag, gender)"),
        ("  all: {tag: a}", "members.all: a list of conditions is needed"),
        ("  any: []", "members.any: a list of conditions is needed"),
        ("  al: []", "Did you mean 'all'?"),
        ("  all:\n    - tag: a\n    - tga: b", "x.yaml:6: members.all.1.tga: is no condition. Did you mean 'tag'?"),
        ("  not: x", "members.not: one condition"),
        ("  tag: a\n  tag: b", "x.yaml:5: members.tag: is given twice"),
    ],
)
def test_a_mistake_says_where_and_what_to_do(members: str, said: str) -> None:
    assert said in "\n".join(mistakes(HEAD + members))


def test_every_mistake_is_told_at_once() -> None:
    found = mistakes(
        "name: X Y\nknown: later\nas_of: 昨日\ntitel: a\nmembers:\n  all:\n    - taag: a\n    - gender: f\n"
    )
    assert [each.split(": ")[0] for each in found] == [f"x.yaml:{line}" for line in (1, 2, 3, 4, 7, 8)]
    assert "Did you mean 'title'?" in found[3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "a segment is a mapping"),
        ("", "a segment is a mapping"),
        ("name: x\n", "members: is missing"),
        ("name: [", "not YAML"),
        ("a: &b [1]\nmembers: *b", "aliases"),
        ("name: x\nmembers: !!python/object:os.system {}", "not YAML"),
        ("x" * 200_001, "longer than"),
        (HEAD + "  " + "{not: " * 30 + "{tag: a}" + "}" * 30, "nested more than 10 deep"),
        (HEAD + "  all:\n" + "    - tag: a\n" * (MAX_CONDITIONS + 1), "at most 50 are possible"),
    ],
)
def test_what_is_no_definition_is_refused(text: str, said: str) -> None:
    assert said in "\n".join(mistakes(text))


def test_json_is_read_like_yaml() -> None:
    members = {"all": [{"orders": {"count": {"at_least": 2}}}, {"not": {"tag": "vip"}}]}
    text = json.dumps({"name": "x", "title": "見本", "members": members})
    assert read_text(text).members == read_document(json.loads(text)).members


def test_not_is_none_of_one() -> None:
    group = read_document({"name": "x", "members": {"not": {"tag": "a"}}}).members
    assert isinstance(group, Group)
    assert group.join is Join.NONE


def test_the_version_follows_the_meaning_not_the_title() -> None:
    one = read_text(HEAD + "  tag: [a, b]")
    assert read_text("title: 別\nname: y\nmembers: {tag: [a, b]}").version == one.version
    assert read_text(HEAD + "  tag: [a, c]").version != one.version
    assert read_text("as_of: 2026-01-01\n" + HEAD + "  tag: [a, b]").version != one.version


def test_a_day_may_stand_without_quotes() -> None:
    segment = read_text("as_of: 2026-01-31\nknown: then\n" + HEAD + "  orders: {since: 2026-01-01}")
    assert (str(segment.as_of), segment.known_then) == ("2026-01-31", True)
