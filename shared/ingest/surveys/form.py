"""The form of a survey as a page: plain HTML, every question a group with its own heading, no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from shared.core.pages import Page, page, paragraph
from shared.ingest.surveys.model import Kind, Question, Survey
from shared.ingest.surveys.rules import FIELD, MAX_TEXT

Values = Mapping[str, Sequence[str]]


def form_page(survey: Survey, shop_name: str, given: Values, problems: Mapping[str, str]) -> Page:
    """The questions, with what was given before and what is wrong with it."""
    content = paragraph(survey.intro) if survey.intro else ""
    if problems:
        links = "".join(
            f'<li><a href="#{FIELD}{question.question_id}">{escape(question.title)}</a></li>'
            for question in survey.questions
            if question.question_id in problems
        )
        said = "まだ送信されていません。次の設問をご確認ください。"
        content += f'<div class="alert" role="alert"><p>{said}</p><ul>{links}</ul></div>\n'
    asked = "".join(
        _asked(question, given.get(question.question_id, ()), problems.get(question.question_id, ""))
        for question in survey.questions
    )
    button = '<button type="submit">回答を送信する</button>'
    content += f'<form method="post" accept-charset="utf-8" novalidate>\n{asked}{button}\n</form>\n'
    content += paragraph("ご回答は、サービスの改善とご案内の内容を選ぶために使います。", "note")
    return page(400 if problems else 200, survey.title, shop_name, content)


def thanks_page(survey: Survey, shop_name: str, *, again: bool) -> Page:
    """After an answer; also after the same link was answered before."""
    said = "このアンケートには、すでにご回答いただいています。ありがとうございました。" if again else survey.thanks
    return page(200, "回答済みのアンケートです" if again else "回答を受け付けました", shop_name, paragraph(said))


def unknown_page() -> Page:
    """A link we did not sign, or whose survey is gone."""
    return page(
        404,
        "アンケートが見つかりません",
        "",
        paragraph(
            "リンクが途中で切れているか、受付が終了しています。メールに記載のリンクを、もう一度そのまま開いてください。"
        ),
    )


def busy_page(shop_name: str) -> Page:
    """Nothing was kept: to be tried again."""
    return page(
        503,
        "送信できませんでした",
        shop_name,
        paragraph("ただいま混み合っています。お手数ですが、少し待ってから前の画面に戻り、もう一度お試しください。"),
    )


def _asked(question: Question, given: Sequence[str], problem: str) -> str:
    name = f"{FIELD}{question.question_id}"
    wrong = f'<p class="wrong" id="{name}-wrong">{escape(problem)}</p>\n' if problem else ""
    described = f' aria-describedby="{name}-wrong"' if problem else ""
    mark = '<span class="mark must">必須</span>' if question.required else '<span class="mark">任意</span>'
    heading = f"{escape(question.title)}{mark}"
    if question.kind is Kind.TEXT:
        must = " required" if question.required else ""
        invalid = ' aria-invalid="true"' if problem else ""
        return (
            f'<div class="free"><label class="question" for="{name}">{heading}</label>\n{wrong}'
            f'<textarea id="{name}" name="{name}" maxlength="{MAX_TEXT}"{must}{invalid}{described}>'
            f"\n{escape(given[0]) if given else ''}</textarea></div>\n"
        )
    body = _scale(question, name, given) if question.kind is Kind.RATING else _choices(question, name, given)
    return f'<fieldset id="{name}" tabindex="-1"{described}>\n<legend>{heading}</legend>\n{wrong}{body}</fieldset>\n'


def _choices(question: Question, name: str, given: Sequence[str]) -> str:
    kind = "radio" if question.kind is Kind.SINGLE else "checkbox"
    return "".join(
        f'<label class="choice"><input type="{kind}" name="{name}" value="{choice}"{_checked(choice, given)}>'
        f"<span>{escape(shown)}</span></label>\n"
        for choice, shown in question.choices.items()
    )


def _scale(question: Question, name: str, given: Sequence[str]) -> str:
    numbers = "".join(
        f'<label><input type="radio" name="{name}" value="{number}"{_checked(str(number), given)}>'
        f"<span>{number}</span></label>\n"
        for number in range(question.lowest, question.highest + 1)
    )
    ends = f'<p class="ends"><span>{escape(question.low)}</span><span>{escape(question.high)}</span></p>\n'
    css = "scale long" if question.highest - question.lowest > 6 else "scale"
    return f'<div class="{css}">\n{numbers}</div>\n{ends if question.low or question.high else ""}'


def _checked(value: str, given: Sequence[str]) -> str:
    return " checked" if value in given else ""
