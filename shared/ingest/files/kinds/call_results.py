"""架電結果: what came of each call, back from the call centre. The centre's own word stays when it is none of ours.

The task's own 顧客ID names the person whatever store they are of; a cart's customer number does too. Who refused is not
called again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from shared.core.ids import is_digest
from shared.ingest.files import build, cells, people
from shared.ingest.files.model import Column, Context, Kind, Refused, Row
from shared.ingest.model import CallFacts, ConsentFacts, Event, EventType, Person
from shared.ingest.sources.callcentre import NAME

_OUTCOMES = {
    "reached": "reached",
    "通話": "reached",
    "通話済": "reached",
    "本人": "reached",
    "本人通話": "reached",
    "接続": "reached",
    "つながった": "reached",
    "absent": "absent",
    "不在": "absent",
    "留守": "absent",
    "留守電": "absent",
    "応答なし": "absent",
    "話中": "absent",
    "retained": "retained",
    "継続": "retained",
    "引き留め": "retained",
    "引き留め成功": "retained",
    "阻止": "retained",
    "cancelled": "cancelled",
    "解約": "cancelled",
    "解約希望": "cancelled",
    "解約受付": "cancelled",
    "refused": "refused",
    "拒否": "refused",
    "電話拒否": "refused",
    "架電拒否": "refused",
    "今後不要": "refused",
    "wrong_number": "wrong_number",
    "番号違い": "wrong_number",
    "間違い": "wrong_number",
    "現在使われていない": "wrong_number",
    "欠番": "wrong_number",
}
_COLUMNS = (
    Column("task_id", "タスクID", ("依頼番号", "架電id", "案件番号", "taskid")),
    Column("called_at", "架電日時", ("架電日", "通話日時", "通話日", "発信日時", "対応日時", "日時", "calledat")),
    Column("outcome", "結果", ("架電結果", "通話結果", "コール結果", "対応結果", "ステータス")),
    Column("reason", "理由", ("解約理由", "理由コード", "不成約理由")),
)
_MAX_WORD = 40


def _events(rows: Sequence[Row], context: Context) -> Iterator[Event]:
    (row,) = rows
    facts = CallFacts(
        task_id=cells.nfkc(row.get("task_id"))[:100] or None,
        outcome=_outcome(row),
        reason=_listed(row.get("reason")),
    )
    at = cells.needed_time(row, "called_at", "架電日時", context)
    who, told = _whose(people.person(row), context)
    yield build.person_event(EventType.CALL_RECORDED, facts, who, told, at=at)
    if facts.outcome == "refused":
        refusal = ConsentFacts(channel="call", granted=False, method=f"import:{context.digest}", by_customer=False)
        yield build.person_event(EventType.CONSENT_CHANGED, refusal, who, told, at=at)


def _whose(said: Person, context: Context) -> tuple[Person, Context]:
    """The person, and whose number it is: a task's is ours, not a cart's."""
    if not is_digest(said.source_customer_id or ""):
        return said, context
    ours = replace(context, options=replace(context.options, source=NAME))
    return Person(source_customer_id=said.source_customer_id), ours


def _outcome(row: Row) -> str:
    said = row.get("outcome")
    if not said:
        raise Refused("架電結果が空です", "outcome is empty")
    own = _listed(said)
    if own is None:
        raise Refused(
            "架電結果は短い言葉で書いてください（通話・不在・継続・解約・拒否・番号違い など）",
            f"outcome must be a word of at most {_MAX_WORD} letters, not a note",
        )
    return cells.word(row, "outcome", "架電結果", _OUTCOMES, default=own)


def _listed(said: str) -> str | None:
    """A word of a list, never what somebody wrote about a person."""
    plain = cells.nfkc(said)
    return plain if plain and len(plain) <= _MAX_WORD and not cells.looks_personal(plain) else None


KIND = Kind(
    name="call_results",
    title="架電結果",
    columns=(*_COLUMNS, people.NUMBER, people.EMAIL, people.PHONE, people.MOBILE),
    needs=(("called_at",), ("outcome",), people.NEEDED),
    events=_events,
    aliases=("calls", "call", "コール結果"),
)
