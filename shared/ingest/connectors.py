"""The connector matrix (連携一覧): which carts are read, how, and what is missing and why.

Made from what each file in `sources/` says of itself, so it cannot promise what is not there. `sources/README.md`
holds it between two marks; `python -m shared.ingest.connectors` writes it anew.
"""

from __future__ import annotations

from pathlib import Path

from shared.ingest.adapter import About
from shared.ingest.registry import about, sources

README = Path(__file__).parent / "sources" / "README.md"
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"

COLUMNS = {
    "arrives": "how data arrives",
    "orders": "orders",
    "customers": "customers",
    "consent": "consent",
    "carts": "carts",
    "signature": "signature",
    "dedupe": "told apart by",
    "limits": "limits",
}

NOT_YET: dict[str, tuple[str, str]] = {
    "makeshop": (
        "MakeShop",
        "neither the bodies of its order, member and product notices nor any signature are published; its install "
        "notice carries an access token in clear text that nothing proves",
    ),
    "futureshop": (
        "futureshop",
        "no webhook is known, and its API (APIv2) is given on application only; its batch sizes and rate limits are "
        "not published",
    ),
    "rakuten": (
        "楽天市場 (Rakuten RMS)",
        "it has no webhook and its documentation is behind the shop's login; buyers' addresses are masked and its "
        "terms restrict marketing use, so its buyers are never put into a campaign",
    ),
}
"""Source → (title, reason) of the carts that are asked for and not read; `matakite import` takes their order files."""


def matrix() -> str:
    """The table of everything in the registry, and the list of what is not there."""
    known = [about(source) for source in sources()]
    head = ["source", *COLUMNS.values()]
    rows = [head, ["---"] * len(head)]
    rows += [_row(each) for each in sorted(known, key=lambda each: (not each.webhook, each.title.lower()))]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    missing = "\n".join(
        f"| {title} | not supported yet, because {reason} |"
        for source, (title, reason) in NOT_YET.items()
        if source not in sources()
    )
    return f"{table}\n\n| not read yet | why |\n| --- | --- |\n{missing}"


def _row(row: About) -> list[str]:
    return [row.title, *(str(getattr(row, column)).replace("|", "\\|") for column in COLUMNS)]


def rewritten(page: str) -> str:
    """The page with the matrix of today between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{matrix()}\n\n{END}{after}"


if __name__ == "__main__":
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")
