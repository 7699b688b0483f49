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
