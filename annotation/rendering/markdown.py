"""Untrusted text on the screen: Markdown and code as safe HTML without inline styles, scripts or anything remote.

markdown-it with raw HTML off, Pygments classes for code, then nh3 on the result. Pages take it from
annotation.rendering.html_cache, which makes it once.
"""

import re
from collections.abc import Sequence
from typing import Any

import nh3
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from annotation.rendering.formulas import add_formulas
from annotation.rendering.highlighting import HighlightBudget, highlight_code
from annotation.rendering.lossless_rules import add_lossless_rules, keep_lines

# Beyond this a text is shown as it is: parsing would hold up the page.
MAX_MARKDOWN_CHARACTERS = 100_000

_ALIGNMENT = {
    "text-align:left": "text-start",
    "text-align:center": "text-center",
    "text-align:right": "text-end",
}
_TAGS = {
    *("p", "br", "hr", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "span", "div"),
    *("strong", "em", "s", "a", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {
    "a": {"href", "title", "target"},
    "code": {"class"},
    "span": {"class"},
    "div": {"class", "tabindex", "role", "aria-label"},
    "pre": {"class", "tabindex"},
    "th": {"class"},
    "td": {"class"},
    "ol": {"start"},
    "p": {"class"},
}
# Pygments' short names, and the few that are ours.
_CLASS = re.compile(
    r"(?:text-(?:start|center|end)|code-block|plain-text|table-scroll|tight|blank-line|remote-image|math-inline|math-display|[a-z]{1,2}\d?)"
)


def _render_image(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: Any
) -> str:
    """An image is named, never fetched: its address would learn who reads what, and when."""
    token = tokens[index]
    name = " ".join(filter(None, [token.content, str(token.attrGet("src") or "")]))
    said = escape(gettext("Image: %(name)s") % {"name": name})
    return f'<span class="remote-image">{said}</span>'


def _render_fence(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, env: Any
) -> str:
    token = tokens[index]
    language = token.info.split()[0] if token.info.strip() else ""
    body = highlight_code(token.content, language, env["highlight_budget"])
    # Wide code scrolls, so it has to take the keyboard's focus.
    return f'<pre class="code-block" tabindex="0"><code>{body}</code></pre>\n'


def _rewrite_tokens(tokens: Sequence[Token]) -> None:
    """Alignment as classes (the CSP blocks inline styles); headings below the page's own."""
    for token in tokens:
        if token.type in ("th_open", "td_open") and (style := token.attrGet("style")):
            del token.attrs["style"]
            token.attrSet("class", _ALIGNMENT.get(str(style), ""))
        elif token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("target", "_blank")


def _renderer() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False, "linkify": False, "breaks": True})
    markdown.enable(["table", "strikethrough"])
    markdown.disable("entity")  # as tags are shown as they were written, so is &amp;
    add_lossless_rules(markdown)
    add_formulas(markdown)
    markdown.add_render_rule("image", _render_image)
    markdown.add_render_rule("fence", _render_fence)
    markdown.add_render_rule("code_block", _render_fence)
    return markdown


def _keep_attribute(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "class":
        return value if all(_CLASS.fullmatch(name) for name in value.split()) else None
    if attribute == "tabindex":
        return "0"
    return value


def render_markdown(text: str, budget: HighlightBudget | None = None) -> SafeString:
    """Safe HTML of an untrusted text; `budget` where it is a part of a longer one."""
    if len(text) > MAX_MARKDOWN_CHARACTERS:
        return format_html('<pre class="plain-text" tabindex="0">{}</pre>', text)
    markdown = _renderer()
    tokens = keep_lines(markdown.parse(text))
    _rewrite_tokens(tokens)
    html = markdown.renderer.render(
        tokens, markdown.options, {"highlight_budget": budget or HighlightBudget()}
    )
    html = html.replace(
        "<table>", '<div class="table-scroll" tabindex="0" role="region" aria-label="Table"><table>'
    )
    html = html.replace("</table>", "</table></div>")
    html = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_keep_attribute,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(html)  # noqa: S308 - nh3 has cleaned it


def excerpt(text: str, length: int = 120) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: length * 4].split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
