"""Mail templates: MJML becomes HTML, Liquid stays as written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from liquid import render

from infra.packaging.mjml import MjmlError, compile_mjml


def a_template(inside: str, head: str = "") -> str:
    return (
        f"<mjml><mj-head>{head}</mj-head><mj-body><mj-section><mj-column>{inside}"
        "</mj-column></mj-section></mj-body></mjml>"
    )


@pytest.mark.parametrize(
    "tag",
    [
        "{{ customer.name | escape }}",
        "{% if a < b and c > d %}x{% endif %}",
        """{{ "a" | append: 'b"c' }}""",
        "{% if a %}&{% endif %}",
        "{%- comment -%} hidden {%- endcomment -%}",
        "{{\n  price\n  | times: 2\n}}",
    ],
)
def test_liquid_in_a_text_is_left_as_written(tag: str) -> None:
    source = tag.replace("%}&{%", "%}&amp;{%")
    assert source in compile_mjml(a_template(f"<mj-text>{source}</mj-text>"))


def test_liquid_in_attributes_survives_with_quotes_and_ampersands() -> None:
    url = "{{ item.url | default: 'https://example.com/?a=1&b=2' }}"
    html = compile_mjml(a_template(f'<mj-button href="{url}">戻る</mj-button>'))
    assert f'href="{url}"' in html


def test_a_loop_around_components_renders_once_per_item() -> None:
    html = compile_mjml(
        a_template(
            "<mj-raw>{% for item in items %}</mj-raw><mj-text>商品 {{ item }}</mj-text><mj-raw>{% endfor %}</mj-raw>"
        )
    )
    assert re.findall(r"商品 (\w+)", render(html, items=["茶碗", "湯呑"])) == ["茶碗", "湯呑"]


def test_liquid_in_the_style_and_the_preview_survives() -> None:
    head = "<mj-style>.x { color: {{ brand.colour }} }</mj-style><mj-preview>{{ preview }}</mj-preview>"
    html = compile_mjml(a_template("<mj-text>x</mj-text>", head))
    assert ".x { color: {{ brand.colour }} }" in html
    assert "{{ preview }}" in html


def test_a_text_that_looks_like_our_placeholder_is_not_mistaken_for_a_tag() -> None:
    html = compile_mjml(a_template("<mj-text>liquid00000 {{ a }}</mj-text>"))
    assert "liquid00000 {{ a }}" in html


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="{}%", exclude_categories=["Cc"]), max_size=30))
def test_any_liquid_expression_survives(inside: str) -> None:
    tag = "{{" + inside + "}}"
    assert tag in compile_mjml(a_template(f"<mj-text>{tag}</mj-text>"))


def test_an_unclosed_component_is_refused() -> None:
    with pytest.raises(MjmlError, match="must be closed"):
        compile_mjml("<mjml><mj-body><mj-section></mj-body></mjml>")


def test_a_misspelt_component_is_refused_instead_of_showing_nothing() -> None:
    with pytest.raises(MjmlError, match="no component <mj-txt>"):
        compile_mjml(a_template("<mj-txt>x</mj-txt>"))


def test_a_tag_that_mjml_would_drop_is_refused() -> None:
    with pytest.raises(MjmlError, match=re.escape("MJML drops {{ width }}")):
        compile_mjml(a_template('<mj-text no-such-attribute="{{ width }}">x</mj-text>'))
