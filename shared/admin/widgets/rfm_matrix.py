"""RFM分析: how many people, and how much they bought, in each cell of recency × frequency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from shared.admin.frame import Frame, bar, caption, dot, empty, percent, sheet, tint
from shared.admin.labels import RFM_RANKS, Label
from shared.admin.markup import join, tag
from shared.admin.sources import Size, Sources
from shared.analytics.definitions import Definitions, definitions_of
from shared.core.shop import Shop

TITLE = Label("RFM分析", "RFM analysis")
SIZE = Size(width=24, height=8, place=20)
ABOUT = Label(
    "最終購入日（R）と購入回数（F）で顧客を36のマスに分け、人数と累計購入金額を表示します。"
    "色は7つのランクです。濃いマスほど人数が多いことを表します。夜間集計のたびに更新されます。",
    "Customers in 36 cells by recency (R) and number of orders (F), with their count and total sales. "
    "Colours are the seven ranks; the stronger the tint, the more people. Updated by each nightly run.",
)
HINT = Label(
    "夜間集計（毎日2時）が終わると表示されます。受注がまだない場合は、カートの接続か受注の取り込みから始めてください。",
    "It appears after the nightly run (02:00). If there are no orders yet, connect a cart or import orders.",
)
REPORT = "rfm_matrix"
BINS = 6

RANK_COLOURS: Mapping[str, str] = {
    "優良": "#1e8e4e",
    "有望": "#1f86d1",
    "新規": "#7a5cd6",
    "浮気予備軍": "#d99a00",
    "悩み": "#e5702a",
    "浮気・不満": "#d63a55",
    "離反": "#78838f",
}
_OTHER = "#78838f"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the matrix; `amount` in minor units."""

    rank: str
    customers: int
    amount: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """The matrix as of a day. Cells by (R bin, F bin), 1 worst to 6 best; an absent cell is empty."""

    as_of: date
    currency: str
    cells: Mapping[tuple[int, int], Cell]
    limits: Definitions

    def total(self, r: int | None = None, f: int | None = None, rank: str | None = None) -> Cell:
        """Sum over a row, a column, a rank or everything."""
        chosen = [
            cell
            for (cell_r, cell_f), cell in self.cells.items()
            if r in (None, cell_r) and f in (None, cell_f) and rank in (None, cell.rank)
        ]
        return Cell(rank or "", sum(cell.customers for cell in chosen), sum(cell.amount for cell in chosen))


def load(sources: Sources) -> Matrix | None:
    """The newest matrix; None before the first nightly run."""
    found = sources.reports.latest(sources.shop.tenant, REPORT)
    return parse(*found[0], sources.shop) if found else None


def parse(on: date, document: Mapping[str, Any], shop: Shop) -> Matrix:
    """The matrix from its report: rows of r, f, customers and amount."""
    cells = {
        (int(row["r"]), int(row["f"])): Cell(
            rank_of(int(row["r"]), int(row["f"])), int(row["customers"]), int(row["amount"])
        )
        for row in document["rows"]
    }
    return Matrix(on, shop.currency, cells, definitions_of(shop))


def rank_of(r: int, f: int) -> str:
    """The rank of a cell (definitions.md §2); a test holds it to the query that gives people their rank."""
    if r >= 5:
        return "新規" if f == 1 else "有望" if f <= 3 else "優良"
    if r >= 3:
        return "悩み" if f <= 3 else "浮気予備軍"
    if r == 2:
        return "離反" if f == 1 else "浮気・不満"
    return "離反"


def meanings(limits: Definitions) -> Mapping[str, Label]:
    """Who has a rank, by the limits the shop set (definitions.md §2)."""
    several, often = limits.f_limits[0], limits.f_limits[2]
    few, once = f"{several}〜{often - 1}", several - 1
    away, lost = limits.r_limits[3:]
    return {
        "優良": Label(f"最近も買い、{often}回以上", f"recent, {often}+ orders"),
        "有望": Label(f"最近買い、{few}回目", f"recent, {few} orders".replace("〜", "–")),
        "新規": Label(
            "最近はじめて買った" if once == 1 else f"最近買い、{once}回まで",
            "recent first order" if once == 1 else f"recent, up to {once} orders",
        ),
        "浮気予備軍": Label(f"{often}回以上だが足が遠のく", f"{often}+ orders, slipping away"),
        "悩み": Label("数回で足が遠のく", "few orders, slipping away"),
        "浮気・不満": Label(
            f"{several}回以上だが{away}日を超えて来ていない", f"{several}+ orders, away for over {away} days"
        ),
        "離反": Label(
            f"{lost}日を超えて来ていない（{once}回客は{away}日）",
            f"away for over {lost} days; {away} after {once} order(s)",
        ),
    }


def render(matrix: Matrix | None, frame: Frame) -> Markup:
    """Matrix with totals beside the legend of ranks; the legend goes below where the widget is narrow."""
    if matrix is None or not matrix.total().customers:
        return empty(frame, HINT)
    return sheet(
        frame,
        _caption(matrix, frame),
        tag("div", _table(matrix, frame), _legend(matrix, frame), class_="mtk-row"),
        css=_CSS.format(line=frame.colours.line),
    )


def _caption(matrix: Matrix, frame: Frame) -> Markup:
    total = matrix.total()
    return caption(
        tag("span", frame.say(f"{frame.day(matrix.as_of)} 時点", f"as of {frame.day(matrix.as_of)}")),
        tag("span", frame.say("購入者 ", "Buyers "), tag("strong", frame.count(total.customers))),
        tag("span", frame.say("累計購入金額 ", "Sales "), tag("strong", frame.amount(total.amount, matrix.currency))),
        tag("span", frame.say("マスの上段は人数、下段は金額", "each cell: people, then sales")),
    )


def _table(matrix: Matrix, frame: Frame) -> Markup:
    columns = range(1, BINS + 1)
    head = tag(
        "tr",
        tag("th", frame.say("最終購入 ＼ 回数", "Last order \\ orders")),
        *[tag("th", _frequency(matrix.limits, f, frame), class_="mtk-c") for f in columns],
        tag("th", frame.say("計", "Total"), class_="mtk-c"),
    )
    rows = [_table_row(matrix, frame, r) for r in range(BINS, 0, -1)]
    foot = tag(
        "tr",
        tag("th", frame.say("計", "Total")),
        *[_total_cell(matrix, frame, matrix.total(f=f)) for f in columns],
        _total_cell(matrix, frame, matrix.total()),
    )
    return tag("div", tag("table", tag("tbody", head, join(rows), foot), class_="mtk-rfm"), class_="mtk-rfm-box")


def _table_row(matrix: Matrix, frame: Frame, r: int) -> Markup:
    cells = [_cell(matrix, frame, r, f) for f in range(1, BINS + 1)]
    return tag(
        "tr", tag("th", _recency(matrix.limits, r, frame)), *cells, _total_cell(matrix, frame, matrix.total(r=r))
    )


def _cell(matrix: Matrix, frame: Frame, r: int, f: int) -> Markup:
    cell = matrix.cells.get((r, f))
    if cell is None or not cell.customers:
        return tag("td", "–", class_="mtk-c mtk-muted")
    colour = RANK_COLOURS.get(cell.rank, _OTHER)
    most = max(each.customers for each in matrix.cells.values())
    strength = 0.10 + (frame.colours.heat - 0.10) * (cell.customers / most) ** 0.5
    return tag(
        "td",
        tag("b", f"{cell.customers:,}"),
        tag("span", frame.amount(cell.amount, matrix.currency)),
        class_="mtk-c mtk-cell",
        style=f"background:{tint(colour, strength)};box-shadow:inset 4px 0 0 {colour}",
        title=f"{_rank(cell.rank, frame)} · {percent(cell.customers, matrix.total().customers)}",
    )


def _total_cell(matrix: Matrix, frame: Frame, cell: Cell) -> Markup:
    return tag(
        "td",
        tag("b", f"{cell.customers:,}"),
        tag("span", frame.amount(cell.amount, matrix.currency)),
        class_="mtk-c mtk-sum",
    )


def _legend(matrix: Matrix, frame: Frame) -> Markup:
    whole = matrix.total()
    ranks = list(RFM_RANKS) + sorted({cell.rank for cell in matrix.cells.values()} - set(RFM_RANKS))
    rows = [_legend_row(matrix, frame, rank, whole) for rank in ranks]
    return tag("div", tag("table", tag("tbody", join(rows)), class_="mtk-rank"), class_="mtk-rank-box")


def _legend_row(matrix: Matrix, frame: Frame, rank: str, whole: Cell) -> Markup:
    total, colour = matrix.total(rank=rank), RANK_COLOURS.get(rank, _OTHER)
    meaning = frame.label(meanings(matrix.limits).get(rank, Label("", "")))
    return tag(
        "tr",
        tag("td", dot(colour), tag("b", _rank(rank, frame)), tag("div", meaning, class_="mtk-muted")),
        tag(
            "td",
            tag(
                "div", f"{frame.count(total.customers)}　{percent(total.customers, whole.customers)}", class_="mtk-num"
            ),
            bar([(total.customers / whole.customers, colour)], frame.colours.track, height=6),
            style="width:50%",
        ),
        tag("td", frame.amount(total.amount, matrix.currency), class_="mtk-num"),
    )


def _recency(limits: Definitions, r: int, frame: Frame) -> str:
    """`30日以内` for bin 6, `31〜60日`, `365日超` for bin 1."""
    if r == 1:
        return frame.say(f"{limits.r_limits[-1]}日超", f"over {limits.r_limits[-1]} d")
    last = limits.r_limits[BINS - r]
    if r == BINS:
        return frame.say(f"{last}日以内", f"within {last} d")
    first = limits.r_limits[BINS - r - 1] + 1
    return frame.say(f"{first}〜{last}日", f"{first}–{last} d")


def _frequency(limits: Definitions, f: int, frame: Frame) -> str:
    """`1回` for bin 1, `4〜5回`, `10回以上` for bin 6."""
    first = 1 if f == 1 else limits.f_limits[f - 2]
    if f == BINS:
        return frame.say(f"{first}回以上", f"{first}+")
    last = limits.f_limits[f - 1] - 1
    return frame.say(f"{first}回", f"{first}") if first == last else frame.say(f"{first}〜{last}回", f"{first}–{last}")


def _rank(rank: str, frame: Frame) -> str:
    return RFM_RANKS[rank].of(frame.language) if rank in RFM_RANKS else rank


_CSS = (
    ".mtk-rfm-box{{flex:3 1 460px;min-width:0;overflow-x:auto}}.mtk-rank-box{{flex:2 1 360px}}"
    ".mtk .mtk-c{{text-align:center}}"
    ".mtk-rfm th{{white-space:nowrap}}"
    ".mtk .mtk-rfm td{{border:1px solid {line};padding:4px 6px;line-height:1.25;white-space:nowrap}}"
    ".mtk-rfm b{{display:block;font-size:14px}}.mtk-rfm span{{font-size:11px}}"
    ".mtk .mtk-rank td{{padding:3px 6px}}.mtk-rank td:first-child{{white-space:nowrap}}"
    ".mtk-rank .mtk-muted{{font-size:11px;line-height:1.3}}"
)
