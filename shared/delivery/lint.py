"""What every mail template must have before it may go out (特定電子メール法, mailbox rules, a reader's comfort).

`lint_template` renders a template with the sample values of its own `meta.yaml`, once with everything known and once
with what may be missing left out, and says in sentences what to change. Runs on compiled templates, at build time:
PyYAML is not in the functions' bundle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from shared.core.errors import MisconfiguredError, RejectedError
from shared.core.lined_yaml import read_lined, read_utf8
from shared.core.mistakes import InvalidFileError
from shared.delivery.channels.ses import HTML, SUBJECT, TEXT
from shared.delivery.lint_names import names_anybody, names_customer, spoken_of
from shared.delivery.lint_parts import OTHER_PARTS, QUOTES, hostile, missing_words
from shared.delivery.model import Purpose
from shared.delivery.render import MAX_BYTES, PARTIALS, URL_SCHEMES, TemplateError, TemplateStore, printable
from shared.delivery.sender import Sender

PARTS = (HTML, TEXT, SUBJECT)
MAX_SUBJECT = 60
"""Full-width letters; phones show about 20 of them, and nobody needs more than this."""

PROMOTION = frozenset({"coupon", "coupons", "recommendations", "arrivals", "viewed", "campaign"})
"""Variables that make a mail an advertisement: forbidden where it goes out without consent."""

SENDER = Sender(
    from_address="news@shop.example.jp",
    from_name="見本商店",
    company="株式会社見本",
    postal_address="〒100-0000 東京都千代田区見本町1-2-3",
    contact="support@shop.example.jp",
    reply_to="support@shop.example.jp",
)
UNSUBSCRIBE_URL = "https://go.example.jp/v1/unsubscribe/sample"

GIVEN: Mapping[str, Any] = {
    "person": {
        "name": "見本",
        "last_name": "見本",
        "first_name": "花子",
        "full_name": "見本 花子",
        "order_count": 3,
        "total_amount": "¥12,800",
        "ltv_tier": "high",
        "status": "loyal",
    },
    "shop": {"name": "見本商店", "url": "https://shop.example.jp/", "guide_url": "https://shop.example.jp/guide"},
    "sender": asdict(SENDER),
    "unsubscribe_url": UNSUBSCRIBE_URL,
    "share_url": "https://shop.example.jp/?utm_source=referral&utm_medium=share&mk_ref=sample",
}
"""What every template is given (context.template_context), with everything known."""

COUPON: Mapping[str, str | None] = {
    "code": "AKI-7Q2MK4X9AB",
    "benefit": "10%引き",
    "condition": None,
    "expires_on": None,
}
"""A coupon without terms (coupons.coupon_context): what a template with one must also do with."""

_PRODUCT = {
    "title": "宇治抹茶 30g",
    "price": "¥2,160",
    "url": "https://shop.example.jp/products/matcha",
    "image_url": "https://shop.example.jp/images/matcha.png",
}
_LINE = {
    "title": "静岡県産 深蒸し煎茶 100g",
    "quantity": 2,
    "price": "¥1,620",
    "amount": "¥3,240",
    "url": "https://shop.example.jp/products/sencha",
    "image_url": "https://shop.example.jp/images/sencha.png",
}
GIVEN_LIVE: Mapping[str, Any] = {
    "order": {"lines": [_LINE], "total": "¥3,240", "ordered_on": "3月2日"},
    "contract": {
        "lines": [_LINE],
        "amount": "¥3,240",
        "interval": "1か月ごと",
        "next_delivery_on": "3月20日",
        "deliveries": 4,
    },
    "points": {"balance": 1200, "expiring": 300, "expires_on": "3月31日"},
    "rank": {"name": "ゴールド", "until": "3月31日"},
    "viewed": [_PRODUCT],
    "recommendations": [_PRODUCT, {**_PRODUCT, "title": "常滑焼 急須（朱泥・茶こし付き・一号）"}],
    "arrivals": [_PRODUCT],
}
"""What follows from a person's state (context.LIVE): a template that cannot do without one of them declares it in its
meta.yaml, as if the scenario brought it.
"""
_NOTHING_LIVE: Mapping[str, Any] = {name: [] if isinstance(value, list) else None for name, value in GIVEN_LIVE.items()}


def sparse(value: Any, name: str = "") -> Any:
    """The same variables where nothing that may be missing is known: no name, no pictures, no links, no tier."""
    if isinstance(value, Mapping):
        return {key: sparse(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [sparse(inner) for inner in value]
    unknown = name in {"last_name", "first_name", "full_name", "ltv_tier", "status"} or name.endswith("url")
    return None if unknown else value


@dataclass(frozen=True, slots=True)
class Meta:
    """A template's `meta.yaml`."""

    title: str
    purpose: Purpose
    variables: Mapping[str, Any] = field(default_factory=dict)
    """What the scenario gives, with sample values."""


def read_meta(folder: Path) -> Meta:
    """Raises RejectedError saying what is wrong with it."""
    try:
        _, document = read_lined(read_utf8(folder / "meta.yaml"), "meta.yaml")
    except FileNotFoundError:
        raise RejectedError("meta.yaml is missing: it says title, purpose and variables with sample values") from None
    known = {"title", "purpose", "variables"}
    if not isinstance(document, dict) or not {"title", "purpose"} <= set(document) <= known:
        raise RejectedError(
            "meta.yaml has title and purpose (marketing, transactional), variables if it likes, and nothing else"
        )
    title, purpose, variables = document["title"], document["purpose"], document.get("variables") or {}
    if not isinstance(title, str) or not title or purpose not in list(Purpose):
        raise RejectedError("meta.yaml: title must be a text, and purpose marketing or transactional")
    if not isinstance(variables, dict):
        raise RejectedError("meta.yaml: variables must be names, each with a sample value")
    return Meta(title, Purpose(purpose), variables)


def template_names(root: Path) -> list[str]:
    """Every template below a folder: each folder with a subject or a mail in it."""
    folders = {file.parent for pattern in ("subject.txt", "mail.*", "meta.yaml") for file in root.rglob(pattern)}
    return sorted(folder.relative_to(root).as_posix() for folder in folders if folder.name != PARTIALS)


_FILES = ("meta.yaml", "mail.mjml", *PARTS, *OTHER_PARTS)


def lint_template(store: TemplateStore, template: str) -> list[str]:
    """What is wrong with a template, a sentence each; `[]` when it may go out."""
    folder = store.root / template
    if strange := sorted(file.name for file in folder.glob("*") if file.name not in _FILES):
        return [f"{name} is no part of a template: there are {', '.join(_FILES)}" for name in strange]
    try:
        for file in folder.glob("*"):
            read_utf8(file)
    except InvalidFileError as error:
        return [str(error)]
    others = [part for part in OTHER_PARTS if (folder / part).exists()]
    missing = [part for part in PARTS if not (folder / part).exists()]
    if missing and not (others and len(missing) == len(PARTS) and not (folder / "mail.mjml").exists()):
        return [f"{part} is missing: a mail has a subject, an HTML part and a text part" for part in missing]
    try:
        meta = read_meta(folder)
    except RejectedError as error:
        return [str(error)]
    mail = [] if missing else _rendered(store, template, meta)
    return [*_variables(folder, meta, others), *mail, *_rendered_others(store, template, meta, others)]


def _rendered_others(store: TemplateStore, template: str, meta: Meta, parts: list[str]) -> Iterator[str]:
    everything, nothing = contexts(meta)
    kinds = {"": everything, " (when little is known of the person)": nothing}
    for kind, context in {**kinds, " (with quotation marks in every word)": hostile(everything, QUOTES)}.items():
        for part in parts:
            try:
                text = store.render(template, [part], context)[part]
            except (TemplateError, MisconfiguredError) as error:
                yield f"{error}{kind}"
                continue
            yield from (f"{finding}{kind}" for finding in OTHER_PARTS[part](text, meta.purpose))


def contexts(meta: Meta) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a template is rendered with: everything known, and next to nothing."""
    given = {**meta.variables, **GIVEN}
    nothing = {**_NOTHING_LIVE, **sparse(given), "sender": asdict(SENDER), "unsubscribe_url": UNSUBSCRIBE_URL}
    nothing["person"] |= {"name": None, "order_count": 0}
    if "coupon" in meta.variables:
        nothing["coupon"] = COUPON
    return {**GIVEN_LIVE, **given}, nothing


def _variables(folder: Path, meta: Meta, others: list[str]) -> Iterator[str]:
    parts = [part for part in PARTS if (folder / part).exists()] + others
    used = set().union(*(used_variables(folder / part) for part in parts))
    for name in sorted(used - set(meta.variables) - set(GIVEN) - set(GIVEN_LIVE)):
        yield f"variable {name!r} is used, and nothing gives it: declare it in meta.yaml with a sample value"
    for name in sorted(set(meta.variables) - used):
        yield f"variable {name!r} is declared in meta.yaml and never used"
    for name in sorted(set(meta.variables) & set(GIVEN)):
        yield f"variable {name!r} in meta.yaml would be hidden by the one every template is given"
    for name in sorted(set(meta.variables.get("coupon", COUPON)) ^ set(COUPON)):
        yield f"a coupon has {', '.join(COUPON)}: the sample of meta.yaml differs in {name!r}"
    if meta.purpose is Purpose.TRANSACTIONAL:
        for name in sorted(PROMOTION & used):
            yield f"a transactional mail goes out without consent and must not advertise: {name!r}"
    for part in parts:
        written = folder / ("mail.mjml" if part == HTML and (folder / "mail.mjml").exists() else part)
        yield from map(str, (*names_customer(written), *names_anybody(written)))


def used_variables(part: Path) -> set[str]:
    """The variables one file of a template speaks of, its partials included."""
    return set(spoken_of(part))


def _rendered(store: TemplateStore, template: str, meta: Meta) -> Iterator[str]:
    everything, nothing = contexts(meta)
    for kind, context in (("", everything), (" (when little is known of the person)", nothing)):
        try:
            rendered = store.render(template, PARTS, context)
        except (TemplateError, MisconfiguredError) as error:
            yield f"{error}{kind}"
            continue
        for finding in _findings(rendered, meta.purpose):
            yield f"{finding}{kind}"
    yield from _escaped(store, template, everything)


def _escaped(store: TemplateStore, template: str, everything: Mapping[str, Any]) -> Iterator[str]:
    """Whatever a product is called, it must not become markup."""
    try:
        html = store.render(template, [HTML], hostile(everything, "<i>"))[HTML]
    except (TemplateError, MisconfiguredError):
        return  # told already
    if "<i>" in html:
        yield f"{HTML} takes a variable as it is: leave out `| safe`, or a product's name can become markup"


def _findings(mail: Mapping[str, str], purpose: Purpose) -> Iterator[str]:
    subject, html, plain = mail[SUBJECT], mail[HTML], mail[TEXT]
    if not subject:
        yield "the subject is empty"
    if len(subject) > MAX_SUBJECT:
        yield f"the subject has {len(subject)} letters, at most {MAX_SUBJECT} are read"
    yield from _legal(HTML, _Reader.of(html).text + html, purpose)
    yield from _legal(TEXT, plain, purpose)
    yield from _Reader.of(html).findings()
    for part, text in ((SUBJECT, subject), (TEXT, plain), (HTML, _Reader.of(html).text)):
        yield from missing_words(part, text)
        yield from _left_over(part, text)
    for part, text in ((HTML, html), (TEXT, plain)):
        if len(text.encode()) > MAX_BYTES:
            yield f"{part} is larger than {MAX_BYTES} bytes: mailboxes clip it"


def _left_over(part: str, text: str) -> Iterator[str]:
    if found := _TAG_SHOWN.search(text):
        yield f"{part} shows {found[0]!r}: a tag of Liquid is written {{{{ name }}}}, half-width"
    if found := re.search(r"^\s*様|[○◯〇]{2,}", text, re.MULTILINE):
        yield f"{part} greets nobody with {found[0].strip()}: ask whether there is a name, {{% if person.name %}}"
    if "http://" in text:
        yield f"{part} has a link that is not encrypted: write https://"
    if printable(text) != text:
        yield f"{part} has a control character: write its line anew"


_TAG_SHOWN = re.compile(r"[{｛]\s*[{｛%％]|[{｛]\s*\w+(?:\.\w+)+\s*[}｝]")


def _legal(part: str, text: str, purpose: Purpose) -> Iterator[str]:
    wanted = {
        "sender's name (送信者)": SENDER.company,
        "sender's postal address (住所)": SENDER.postal_address,
        "contact for complaints (苦情の受付先)": SENDER.contact,
    }
    if purpose is Purpose.MARKETING:
        wanted["way to unsubscribe (配信停止)"] = UNSUBSCRIBE_URL
    for what, value in wanted.items():
        if value not in text:
            yield f"{part} lacks the {what}, which the law wants shown: render the legal_footer partial"


_NOT_IN_A_MAIL = frozenset(
    {"script", "form", "iframe", "object", "embed", "base", "link", "input", "select", "textarea", "button"}
    | {"svg", "video", "audio", "canvas"}
)


class _Reader(HTMLParser):
    """Reads an HTML part the way a mail program would."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.problems: list[str] = []
        self._hidden = 0

    @classmethod
    def of(cls, html: str) -> _Reader:
        reader = cls()
        reader.feed(html)
        return reader

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._hidden += tag in {"style", "title"}
        if tag == "html" and given.get("lang") in {None, "", "und"}:
            self.problems.append('<html> has no lang: write <mjml lang="ja">')
        if tag in _NOT_IN_A_MAIL or (tag == "meta" and (given.get("http-equiv") or "").lower() == "refresh"):
            self.problems.append(f"<{tag}> does not work in a mail")
        for name in given:
            if name.startswith("on"):
                self.problems.append(f"{name}= does not work in a mail")
        if tag == "img" and not given.get("alt"):
            self.problems.append("an image has no alt text: many readers see no images")
        if tag == "img":
            self._image(given.get("src"))
        if "background" in given:
            self._image(given["background"])
        if tag == "a":
            self._link(given.get("href"))

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "title"}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data
        elif "@import" in data:
            self.problems.append("@import does not work in a mail: write the style into it")

    def findings(self) -> Iterator[str]:
        """Every problem once."""
        yield from dict.fromkeys(self.problems)

    def _image(self, source: str | None) -> None:
        if not (source or "").startswith("https://"):
            self.problems.append(f"an image is not at an https address: {(source or '')[:60]!r}")

    def _link(self, href: str | None) -> None:
        scheme = (href or "").partition(":")[0]
        if scheme not in URL_SCHEMES:
            self.problems.append(f"a link goes nowhere: href={href!r}")
        if scheme == "http":
            self.problems.append(f"a link is not encrypted, write https://: href={href!r}")
