"""axe on a page in a real browser."""

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SCRIPT = Path(__file__).resolve().parents[1] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# What sticks to the window over a part of a control makes it no small target: it is scrolled to. Every other rule looks
# at the page as it is.
STICKY = ".task-footer, .response-head, .rank-card-head"


def run_axe(page: Page) -> list[dict[str, Any]]:
    """What breaks the rules of WCAG 2.2 AA, as axe tells it; when no color is on its way to another any more."""
    page.evaluate(SCRIPT.read_text() + "; undefined")
    return page.evaluate(
        """async ([rules, sticky]) => {
          const moving = document.getAnimations().filter((animation) => animation instanceof CSSTransition);
          await Promise.allSettled(moving.map((animation) => animation.finished));
          const found = await axe.run(document, { runOnly: rules, rules: { "target-size": { enabled: false } } });
          const parts = [...document.querySelectorAll(sticky)];
          parts.forEach((part) => { part.style.position = "static"; });
          const small = await axe.run(document, { runOnly: { type: "rule", values: ["target-size"] } });
          parts.forEach((part) => { part.style.position = ""; });
          return [...found.violations, ...small.violations];
        }""",
        [RULES, STICKY],
    )


def axe(page: Page) -> list[tuple[str, list[str]]]:
    """Each rule that is broken, with up to three elements that break it."""
    return [(v["id"], [node["html"][:120] for node in v["nodes"]][:3]) for v in run_axe(page)]


def complaints(page: Page, width: int) -> list[str]:
    """Every element that breaks a rule, and what makes the page wider than a window of `width` pixels."""
    said = [f"{item['id']}: {node['html']}" for item in run_axe(page) for node in item["nodes"]]
    if page.evaluate("document.documentElement.scrollWidth") > width:
        wide = page.evaluate(
            "width => [...document.querySelectorAll('body *')]"
            ".filter(e => e.getBoundingClientRect().right > width || e.scrollWidth > width)"
            ".map(e => e.outerHTML.slice(0, 80))",
            width,
        )
        said.append(f"the page is wider than the window: {wide[:3]}")
    return said
