"""予測の検証: which prediction is used, and how well it had foretold the weeks that have passed since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from shared.admin.frame import Frame, caption, empty, sheet
from shared.admin.labels import Label
from shared.admin.markup import join, tag
from shared.admin.sources import Size, Sources
from shared.analytics.reports import MODEL_AUDIT

TITLE = Label("予測の検証", "How good the predictions are")
SIZE = Size(width=12, height=9, place=45)
ABOUT = Label(
    "次の注文と今後1年の購入額の予測が、実際とどれだけ合っていたかの検証です（毎週、過去のデータで答え合わせをします）。"
    "「ずれ」は1人あたりの注文回数の平均誤差で小さいほどよく、「目盛り」は1に近いほど、「順位」は大きいほどよい値です。"
    "予測モデルが単純な計算よりよくないときは、単純な計算の方を使います。"
    "定期契約のあるお店では、解約見込み（電話する順番）の的中率も毎週検証します。",
    "Every week the prediction is held against what happened. MAE: smaller is better; slope: 1 is right; normalised "
    "Gini: larger is better. Where no model beats the naive rules, the naive rule is what is used. With subscriptions, "
    "so are the cancellation calls: the share of the called that cancelled.",
)
HINT = Label("最初の夜間集計（毎日2時）のあとに表示されます。", "It appears after the first nightly run (02:00).")

MODELS = {
    "bg_nbd": Label("BG/NBD モデル", "BG/NBD"),
    "mbg_nbd": Label("MBG/NBD モデル", "MBG/NBD"),
    "mbg_cnbd": Label("MBG/CNBD-k モデル", "MBG/CNBD-k"),
    "pareto_nbd": Label("Pareto/NBD モデル", "Pareto/NBD"),
    "rate": Label("単純な計算（これまでの頻度）", "naive: past rate"),
    "hiatus": Label("単純な計算（半年で離脱）", "naive: gone after half a year"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """How one way of predicting did; None where a figure cannot be told."""

    name: str
    mae: float
    slope: float | None
    gini: float | None


@dataclass(frozen=True, slots=True)
class Calls:
    """How good the calls of four weeks before were (解約見込み); `newest` is the rule without a score."""

    on: date
    verdict: str
    """better, not_better, untested, all_called"""
    days: int
    contracts: int
    called: int
    precision: float
    newest: float
    base_rate: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the last hold-out said."""

    on: date
    use: str
    verdict: str
    """better, not_better, untested"""
    customers: int = 0
    buyers: int = 0
    days: int = 0
    pooled: bool = False
    """Few buyers: the models lean on published figures of other shops."""
    lines: tuple[Line, ...] = ()
    calls: Calls | None = None
    """None for a shop without subscriptions, or too young for any that could have been called four weeks ago."""


def load(sources: Sources) -> Verdict | None:
    """The newest audit."""
    found = sources.reports.latest(sources.shop.tenant, MODEL_AUDIT)
    return parse(*found[0]) if found else None


def parse(on: date, document: Mapping[str, Any]) -> Verdict:
    """The verdict from its report."""
    audit, fits = document["audit"], document.get("fits", {})
    scores: Mapping[str, Any] = audit.get("scores", {})
    lines = [
        Line(name, float(each["mae"]), each.get("calibration_slope"), each.get("normalised_gini"))
        for name, each in scores.items()
    ]
    tested = document.get("audited_on")
    return Verdict(
        on=date.fromisoformat(tested) if tested else on,
        use=str(audit["use"]),
        verdict=str(audit["verdict"]),
        customers=int(audit.get("customers", 0)),
        buyers=int(audit.get("buyers", 0)),
        days=round(float(audit.get("holdout_days", 0))),
        pooled=any(fit.get("pooled") for fit in fits.values()),
        lines=tuple(sorted(lines, key=lambda line: line.mae)),
        calls=_calls(document.get("cancellation")),
    )


def _calls(document: Mapping[str, Any] | None) -> Calls | None:
    if document is None:
        return None
    score = document["score"]
    return Calls(
        on=date.fromisoformat(document["audited_on"]),
        verdict=str(document["verdict"]),
        days=int(document["days"]),
        contracts=int(document["contracts"]),
        called=int(score["called"]),
        precision=float(score["precision"]),
        newest=float(document["newest"]["precision"]),
        base_rate=float(score["base_rate"]),
    )


def render(found: Verdict | None, frame: Frame) -> Markup:
    """The verdict in words, then one line per way of predicting."""
    if found is None:
        return empty(frame, HINT)
    head = tag(
        "tr",
        tag("th", frame.say("予測のしかた", "Prediction")),
        tag("th", frame.say("ずれ", "MAE"), class_="mtk-num"),
        tag("th", frame.say("目盛り", "Slope"), class_="mtk-num"),
        tag("th", frame.say("順位", "Gini"), class_="mtk-num"),
    )
    rows = join([_row(line, found.use, frame) for line in found.lines])
    table = tag("table", tag("thead", head), tag("tbody", rows)) if found.lines else None
    return sheet(frame, _caption(found, frame), table, _calls_told(found.calls, frame) if found.calls else None)


def _caption(found: Verdict, frame: Frame) -> Markup:
    used = name_of(found.use, frame)
    words = {
        "better": ("mtk-good", frame.say(f"✓ {used}を使用（単純な計算よりよい）", f"✓ {used} (better than naive)")),
        "not_better": ("mtk-warn", frame.say(f"{used}を使用（モデルの方がよいとは言えない）", f"{used} is used")),
        "untested": ("mtk-warn", frame.say(f"{used}を使用（まだ検証できる期間がない）", f"{used}, not tested yet")),
    }
    style, text = words.get(found.verdict, ("", used))
    parts = [tag("strong", text, class_=style)]
    if found.days:
        parts.append(
            tag(
                "span",
                frame.say(
                    f"{frame.day(found.on)} までの {found.days:,} 日で答え合わせ"
                    f"（{found.customers:,} 人のうち購入 {found.buyers:,} 人）",
                    f"held against the {found.days:,} days to {frame.day(found.on)}"
                    f" ({found.buyers:,} of {found.customers:,} bought)",
                ),
            )
        )
    if found.pooled:
        parts.append(
            tag("span", frame.say("購入者が少ないため、公表されている他店の値も使っています", "few buyers: pooled"))
        )
    return caption(*parts)


def _calls_told(calls: Calls, frame: Frame) -> Markup:
    """解約見込み: what share of the called cancelled, beside the rule without a score and calling at random."""
    words = {
        "better": ("mtk-good", frame.say("✓ 点数の高い順に電話", "✓ Call by the score")),
        "not_better": (
            "mtk-warn",
            frame.say("お届け回数の少ない順に電話（点数の方がよいとは言えない）", "Call fewest deliveries first"),
        ),
        "untested": ("mtk-warn", frame.say("点数の高い順に電話（解約が少なく、まだ検証できない）", "Not tested yet")),
        "all_called": ("mtk-muted", frame.say("全件に電話できるため順番は問わない", "All can be called")),
    }
    style, text = words.get(calls.verdict, ("", calls.verdict))
    figures = frame.say(
        f"{frame.day(calls.on)} までの {calls.days} 日で答え合わせ：{calls.contracts:,} 契約のうち"
        f" {calls.called:,} 件に電話した場合の解約の割合は 点数順 {calls.precision:.1%}、"
        f"回数の少ない順 {calls.newest:.1%}、無作為 {calls.base_rate:.1%}",
        f"in the {calls.days} days to {frame.day(calls.on)}: of {calls.called:,} called among {calls.contracts:,}"
        f" contracts, cancelled {calls.precision:.1%} by the score, {calls.newest:.1%} fewest deliveries first,"
        f" {calls.base_rate:.1%} at random",
    )
    return caption(
        tag("span", frame.say("解約見込み", "Cancellation calls")), tag("strong", text, class_=style), figures
    )


def name_of(name: str, frame: Frame) -> str:
    """A model's or rule's name in the screen's language."""
    label = MODELS.get(name)
    return frame.label(label) if label else name


def _row(line: Line, used: str, frame: Frame) -> Markup:
    name = name_of(line.name, frame)
    return tag(
        "tr",
        tag("td", tag("strong", f"▶ {name}") if line.name == used else name),
        tag("td", f"{line.mae:.3f}", class_="mtk-num"),
        tag("td", _figure(line.slope), class_="mtk-num"),
        tag("td", _figure(line.gini), class_="mtk-num"),
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
