"""Answers CloudWatch's call for a custom widget: checks who asks for what, then draws one view."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from shared.admin.frame import Frame, frame_of, problem
from shared.admin.sources import Sources
from shared.admin.views import VIEWS, View
from shared.core.errors import MatakiteError, NotFoundError, RejectedError
from shared.core.ids import TenantId

Answer = str | dict[str, str]

_TENANT = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)


def draw(event: Mapping[str, Any], account: str, sources: Callable[[TenantId], Sources]) -> Answer:
    """HTML of the view in the event, or Markdown when it asks to `describe`.

    What is wrong with the request is shown in the widget, as a sentence; it is never raised, because CloudWatch would
    show the admin nothing but a stack trace.
    """
    if event.get("describe"):
        return {"markdown": describe(event)}
    context = _mapping(event.get("widgetContext"))
    frame = frame_of(event, context)
    try:
        _same_account(context, account, frame)
        view = _view(event, frame)
        tenant = _tenant(event, frame)
        return str(view.render(view.load(sources(tenant)), frame))
    except MatakiteError as error:
        return str(problem(frame, str(error)))


def describe(event: Mapping[str, Any]) -> str:
    """Documentation of one view, or of all: Markdown."""
    view = VIEWS.get(str(event.get("view")))
    frame = frame_of(event, {})
    if view is not None:
        return _document(str(event["view"]), view, frame)
    intro = frame.say("# Matakite ウィジェット", "# Matakite widgets")
    return "\n\n".join([intro, *(_document(name, each, frame) for name, each in VIEWS.items())])


def _document(name: str, view: View, frame: Frame) -> str:
    parameters = f"```yaml\nview: {name}\ntenant: default\nlanguage: {frame.language}\n```"
    return f"## {frame.label(view.TITLE)}\n\n{frame.label(view.ABOUT)}\n\n{parameters}"


def _same_account(context: Mapping[str, Any], account: str, frame: Frame) -> None:
    if context.get("accountId") not in (None, account):
        raise RejectedError(
            frame.say(
                "別のAWSアカウントのダッシュボードからは表示できません。",
                "This widget is not shown on a dashboard of another AWS account.",
            )
        )


def _view(event: Mapping[str, Any], frame: Frame) -> View:
    view = VIEWS.get(str(event.get("view")))
    if view is None:
        known = ", ".join(VIEWS)
        raise NotFoundError(
            frame.say(
                f"view「{str(event.get('view'))[:60]}」はありません。使えるのは {known} です。",
                f"There is no view {str(event.get('view'))[:60]!r}. There are: {known}.",
            )
        )
    return view


def _tenant(event: Mapping[str, Any], frame: Frame) -> TenantId:
    tenant = str(event.get("tenant", "default"))
    if not _TENANT.fullmatch(tenant):
        raise RejectedError(
            frame.say(
                "ショップIDは半角の英小文字・数字・ハイフン（32文字まで）です。",
                "A shop id is 1 to 32 of a-z, 0-9 and '-'.",
            )
        )
    return TenantId(tenant)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
