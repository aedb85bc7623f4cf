"""Every template of the product passes its lint; every rule of the lint has a template that breaks it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.packaging.mjml import compile_mjml
from shared.core.errors import MisconfiguredError
from shared.delivery.channels.fake import MAIL
from shared.delivery.channels.ses import HTML, SUBJECT, TEXT
from shared.delivery.lint import GIVEN, GIVEN_LIVE, lint_template, read_meta, template_names
from shared.delivery.render import ROOT, TemplateError, TemplateStore

NAMES = template_names(ROOT)


def test_the_templates_of_the_scenario_are_all_there() -> None:
    wanted = {f"cart_abandoned/{name}" for name in ("first", "second", "second_high", "second_potential", "third")}
    assert wanted <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_template_may_go_out(compiled: TemplateStore, name: str) -> None:
    assert lint_template(compiled, name) == []


def test_a_cart_mail_names_what_is_in_the_cart_and_leads_back_to_it(compiled: TemplateStore) -> None:
    context = {**read_meta(compiled.root / "cart_abandoned/first").variables, **GIVEN}
    mail = compiled.render("cart_abandoned/first", MAIL, context)
    assert mail[SUBJECT] == "【見本商店】カートにお品物が残っています"
    for part in (mail[HTML], mail[TEXT]):
        assert "静岡県産 深蒸し煎茶 100g" in part
        assert "¥8,800" in part
        assert "¥12,040" in part
        assert "https://shop.example.jp/cart/recover?key=sample" in part
        assert "見本 様" in part
        assert "いつも見本商店をご利用いただき" in part


def test_the_last_mail_speaks_differently_to_the_best_customers(compiled: TemplateStore) -> None:
    cart = read_meta(compiled.root / "cart_abandoned/third").variables
    best = compiled.render("cart_abandoned/third", MAIL, {**cart, **GIVEN})
    others = compiled.render(
        "cart_abandoned/third", MAIL, {**cart, **GIVEN, "person": {**GIVEN["person"], "ltv_tier": None}}
    )
    assert "担当の者がお好みに合うもの" in best[TEXT]
    assert "担当の者がお好みに合うもの" not in others[TEXT]


def test_points_are_written_as_a_shop_writes_them(compiled: TemplateStore) -> None:
    mail = compiled.render("points_expiring/notice", (*MAIL, "line.json"), {**GIVEN_LIVE, **GIVEN})
    assert "お手持ちのポイント: 1,200ポイント" in mail[HTML]
    assert "お手持ちのポイント: 1,200ポイント" in mail[TEXT]
    assert "300ポイントが、3月31日に期限を迎えます" in mail["line.json"]


def test_a_product_title_cannot_become_markup(compiled: TemplateStore) -> None:
    cart = {
        "lines": [
            {"title": "<script>alert(1)</script>\x07", "quantity": 1, "price": "¥1", "amount": "¥1", "image_url": None}
        ]
    }
    context = {**GIVEN, "cart": {**cart, "total": "¥1", "recovery_url": None}}
    mail = compiled.render("cart_abandoned/first", MAIL, context)
    assert "<script>" not in mail[HTML]
    assert "&lt;script&gt;" in mail[HTML]
    assert "<script>alert(1)</script>" in mail[TEXT], "plain text is not escaped"
    assert "\x07" not in mail[TEXT]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example.com", "file:///etc/passwd"])
def test_a_link_that_would_leave_the_web_is_refused(compiled: TemplateStore, url: str) -> None:
    cart = {"lines": [], "total": "¥1", "recovery_url": url}
    with pytest.raises(TemplateError, match="recovery_url"):
        compiled.render("cart_abandoned/first", MAIL, {**GIVEN, "cart": cart})


def test_only_the_source_of_a_template_says_how_to_compile_it() -> None:
    with pytest.raises(MisconfiguredError, match=r"only mail\.mjml"):
        TemplateStore(ROOT).render("cart_abandoned/first", MAIL, {**GIVEN, "cart": {}})


@pytest.mark.parametrize("name", ["../secret", "cart_abandoned/nope", "/etc", "Cart", ""])
def test_there_is_no_such_template(compiled: TemplateStore, name: str) -> None:
    with pytest.raises(MisconfiguredError):
        compiled.render(name, MAIL, GIVEN)


@pytest.mark.parametrize(
    ("source", "limit"),
    [
        ("{% for i in (1..100000) %}x{% endfor %}", "LoopIterationLimitError"),
        ("{% assign a = (1..300000000) | join: '' %}", "LoopIterationLimitError"),
        ("{{ 'aaaaaaaaaa' " + "| replace: 'a', 'aaaaaaaaaa' " * 9 + "| size }}", "LocalNamespaceLimitError"),
        ("{% for i in (1..1999) %}" + "x" * 100 + "{% endfor %}", "OutputStreamLimitError"),
        (
            "{% assign a = 'x' %}{% for i in (1..30) %}{% assign a = a | append: a %}{% endfor %}",
            "LocalNamespaceLimitError",
        ),
        ("{% render 'again.txt' %}", "ContextDepthError"),
    ],
)
def test_no_template_can_hang_or_fill_a_function(tmp_path: Path, source: str, limit: str) -> None:
    for folder, name, text in (
        ("_partials", "again.txt", "{% render 'again.txt' %}"),
        ("bomb", "subject.txt", source),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text)
    with pytest.raises(TemplateError, match=limit):
        TemplateStore(tmp_path).render("bomb", MAIL, {})


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in (1..n) reversed %}x{% endfor %}",
        "{% for i in (1..n) limit: 1 %}x{% endfor %}",
        "{% for i in (1..2) %}{% for j in (i..n) reversed %}x{% endfor %}{% endfor %}",
        "{% for i in none %}{% else %}{{ (1..n) | size }}{% endfor %}",
        "{% tablerow i in (1..n) reversed %}x{% endtablerow %}",
        "{{ (1..n) | join: '' }}",
        "{{ '' | append: (1..n) }}",
        "{{ 'x' | default: '', allow_false: (1..n) }}",
        "{% assign a = (1..n) %}",
        "{% echo (1..n) %}",
        "{% cycle (1..n), 2 %}",
        "{% capture a %}{{ (1..n) }}{% endcapture %}",
        "{% if x == 1 or (1..n) contains 'x' %}{% endif %}",
        "{% if x == 1 %}{% elsif (1..n) contains 'x' %}{% endif %}",
        "{% unless (1..n) contains 'x' %}{% endunless %}",
        "{% case (1..n) %}{% when 1 %}{% endcase %}",
        "{% case x %}{% when (1..n) %}{% endcase %}",
        "{% case x %}{% when 3 %}{% else %}{{ (1..n) | last }}{% endcase %}",
        "{% liquid echo (1..n) %}",
        "{% ifchanged %}{{ (1..n) }}{% endifchanged %}",
        "{% render 'one.txt', m: (1..n) %}",
        "{% render 'range.txt', n: n %}",
        "{% include 'range.txt' %}",
    ],
)
@pytest.mark.parametrize("end", [2_001, 10**30, "300000000"])
def test_a_range_whose_end_is_a_variable_is_refused_where_it_is_made(tmp_path: Path, source: str, end: object) -> None:
    for folder, name, text in (
        ("_partials", "one.txt", "x"),
        ("_partials", "range.txt", "{% for i in (1..n) reversed %}x{% endfor %}"),
        ("bomb", "subject.txt", source),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text)
    with pytest.raises(TemplateError, match="LoopIterationLimitError"):
        TemplateStore(tmp_path).render("bomb", ("subject.txt",), {"n": end, "x": 2, "none": []})


Edit = Callable[[Path], None]


def _replace(part: str, old: str, new: str) -> Edit:
    def edit(folder: Path) -> None:
        text = (folder / part).read_text("utf-8")
        assert old in text
        (folder / part).write_text(text.replace(old, new), "utf-8")

    return edit


def _remove(part: str) -> Edit:
    return lambda folder: (folder / part).unlink()


FOOTER = "{% render 'legal_footer.html', shop: shop, sender: sender, unsubscribe_url: unsubscribe_url %}"
TEXT_FOOTER = FOOTER.replace("html", "txt")


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (_replace("mail.mjml", FOOTER, "さようなら"), "mail.html lacks the way to unsubscribe"),
        (_replace("mail.mjml", FOOTER, "{{ sender.company }}"), "mail.html lacks the sender's postal address"),
        (_replace("mail.txt", TEXT_FOOTER, "さようなら"), "mail.txt lacks the contact for complaints"),
        (_remove("mail.txt"), "mail.txt is missing"),
        (_remove("subject.txt"), "subject.txt is missing"),
        (_remove("meta.yaml"), "meta.yaml is missing"),
        (_replace("meta.yaml", "purpose: marketing", "purpose: spam"), "meta.yaml"),
        (
            _replace("mail.txt", "よろしければ", "{{ coupon.code }}"),
            "variable 'coupon' is used",
        ),
        (_replace("meta.yaml", "variables:", "variables:\n  extra: 1 #"), "variable 'extra' is declared"),
        (_replace("mail.mjml", "お買い物の途中", "<img src='https://shop.example.jp/a.png' />"), "no alt text"),
        (_replace("mail.mjml", 'href="{{ back }}"', 'href="/cart"'), "a link goes nowhere"),
        (_replace("mail.mjml", ' lang="ja"', ""), "has no lang"),
        (_replace("subject.txt", "カート", "カ" * 60), "letters"),
        (_replace("mail.txt", "よろしければ", "{{ cart.recovery_url }}None"), "shows a missing value"),
        (_replace("mail.txt", "よろしければ", "{{ cart.colour }}"), "colour"),
        (_replace("mail.txt", "よろしければ", "{{ cart.total | explode }}"), "explode"),
        (_replace("mail.txt", "よろしければ", "{% if %}"), "LiquidSyntaxError"),
        (_replace("mail.txt", "よろしければ", "前回None様"), "shows a missing value"),
        (_replace("mail.txt", "よろしければ", "{person.name}様"), "shows '{person.name}': a tag of Liquid"),
        (_replace("mail.txt", "よろしければ", "\n{{ person.name }} 様"), "greets nobody with 様"),
        (_replace("mail.txt", "よろしければ", "http://shop.example.jp"), "mail.txt has a link that is not encrypted"),
        (_replace("mail.txt", "よろしければ", "hanako@example.com"), "hanako@example.com: is an address"),
        (_replace("mail.mjml", 'href="{{ back }}"', 'href="http://shop.example.jp"'), "is not encrypted"),
        (_replace("mail.mjml", "お買い物の途中", "<img alt='店' src='a.png' />"), "not at an https address: 'a.png'"),
        (_replace("mail.mjml", "お買い物の途中", "<b onclick='x'>店</b>"), "onclick= does not work"),
        (_replace("mail.mjml", "お買い物の途中", "{{ cart.lines[0].title | safe }}"), "leave out `| safe`"),
        (_replace("meta.yaml", "total:", "a: &a [*a]\n    total:"), "meta.yaml:8: -: not YAML: aliases"),
        (_replace("meta.yaml", "variables:", "variable:"), "meta.yaml has title and purpose"),
        (lambda folder: (folder / "mial.txt").touch(), "mial.txt is no part of a template"),
        (lambda folder: (folder / "subject.txt").write_bytes("件名".encode("cp932")) and None, "is not UTF-8"),
    ],
)
def test_the_lint_says_what_to_change(tmp_path: Path, edit: Edit, finding: str) -> None:
    root = tmp_path / "templates"
    shutil.copytree(ROOT, root)
    folder = root / "cart_abandoned/first"
    edit(folder)
    (folder / "mail.html").write_text(compile_mjml((folder / "mail.mjml").read_text("utf-8")), "utf-8")
    findings = lint_template(TemplateStore(root), "cart_abandoned/first")
    assert any(finding in found for found in findings), findings


@pytest.mark.parametrize(
    ("edit", "finding"),
    [
        (_replace("meta.yaml", "benefit: 10%引き", "percent: 10"), "a coupon has code, benefit, condition, expires_on"),
        (_replace("mail.txt", "{% render 'coupon.txt'", "{{ coupon.percent }}{% render 'coupon.txt'"), "percent"),
    ],
)
def test_a_coupon_is_what_a_scenario_gives(tmp_path: Path, edit: Edit, finding: str) -> None:
    root = tmp_path / "templates"
    shutil.copytree(ROOT, root)
    folder = root / "welcome_coupon/coupon"
    edit(folder)
    (folder / "mail.html").write_text(compile_mjml((folder / "mail.mjml").read_text("utf-8")), "utf-8")
    findings = lint_template(TemplateStore(root), "welcome_coupon/coupon")
    assert any(finding in found for found in findings), findings


def test_a_transactional_mail_must_not_advertise(tmp_path: Path) -> None:
    root = tmp_path / "templates"
    shutil.copytree(ROOT, root)
    folder = root / "cart_abandoned/first"
    _replace("meta.yaml", "purpose: marketing", "purpose: transactional")(folder)
    _replace("meta.yaml", "variables:", "variables:\n  coupon: {code: A1} #")(folder)
    _replace("mail.txt", "よろしければ", "{{ coupon.code }}")(folder)
    (folder / "mail.html").write_text(compile_mjml((folder / "mail.mjml").read_text("utf-8")), "utf-8")
    findings = lint_template(TemplateStore(root), "cart_abandoned/first")
    assert any("must not advertise" in found for found in findings), findings
