"""axe-core against the page that a person sees."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "axe.min.js"
SERIOUS = ("serious", "critical")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ASKED = """async ([where, only]) => (await axe.run(where, { runOnly: only, resultTypes: ["violations"] })).violations
  .flatMap(({ id, impact, nodes }) => nodes.map((node) => ({
    id, impact, target: node.target.join(" "), html: node.html.slice(0, 160), why: node.failureSummary })))"""


@cache
def _source() -> str:
    return SOURCE.read_text()


def findings(page: Any, *, theme: str = "", where: str = "html", rule: str = "") -> list[str]:
    """What is serious about a page, or of one rule; in words. It is put into the page from outside, so that the page's
    policy has no say in it."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_source() + "; undefined")
    only = {"type": "rule", "values": [rule]} if rule else {"type": "tag", "values": RULES}
    found = page.evaluate(ASKED, [where, only])
    return [
        f"{theme} {one['id']}: {one['target']} {one['html']} {one['why']}"
        for one in found
        if one["impact"] in SERIOUS
    ]
