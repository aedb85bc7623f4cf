"""What axe-core finds wrong with pages, in headless Chromium at the width of a telephone or of a desk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.sdk.browser import served, visit
from tests.sdk.packages import npm_packages

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_SCRIPT = """
<script src="/axe.js"></script>
<script>
(async () => {
  const { name, next, rules } = SETTINGS;
  const found = await axe.run(document, { runOnly: rules });
  const wrong = found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(" ")}`);
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("wider than the screen");
  const reports = { ...JSON.parse(sessionStorage.reports ?? "{}"), [name]: { passed: found.passes.length, wrong } };
  sessionStorage.reports = JSON.stringify(reports);
  if (next) location.href = next;
  else await fetch("/done", { method: "POST", body: sessionStorage.reports });
})().catch((error) => fetch("/failed?" + encodeURIComponent(error)));
</script>
"""


def violations(pages: Mapping[str, str], profile: Path, width: int) -> dict[str, list[str]]:
    """What is wrong with each page, looked at one after the other; checks that axe really looked at them."""
    names = list(pages)
    files = {"/axe.js": (npm_packages() / "axe-core" / "axe.min.js").read_bytes()}
    for number, name in enumerate(names):
        following = f"/page{number + 1}" if number + 1 < len(names) else ""
        settings = json.dumps({"name": name, "next": following, "rules": RULES})
        script = _SCRIPT.replace("SETTINGS", settings)
        files[f"/page{number}"] = pages[name].replace("</body>", f"{script}</body>").encode()
    with served(files) as (address, said):
        reports = json.loads(visit(f"{address}/page0", said, profile, f"--window-size={width},1000"))
    assert reports.keys() == pages.keys()
    assert min(report["passed"] for report in reports.values()) > 10, "axe looked at nothing"
    return {name: report["wrong"] for name, report in reports.items() if report["wrong"]}
