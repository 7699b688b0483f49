r"""Formulas in Markdown: $...$, $$...$$, \(...\), \[...\] and \begin{align}...\end{align} by itself are kept to the
letter, for the browser to draw.

Without this, Markdown reads TeX as its own: stars and underscores turn italic, and lines become lists.
"""

import re

from django.utils.html import escape as escape_html
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

# Opening, closing, whether on a line of its own. In the order in which they are tried.
_DELIMITERS = (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False), ("$", "$", False))
# Environments that are formulas by themselves, as in a TeX document; KaTeX draws these.
_ENVIRONMENT = re.compile(r"\\begin\{((?:align|alignat|equation|gather|CD)\*?)\}")
_MAX_BLOCK_LINES = 60
# Beyond these a formula stays as it was written: drawing takes the reader's browser about a millisecond each.
MAX_FORMULAS = 300
MAX_FORMULA_CHARACTERS = 5_000
_SUFFIX = re.compile(r"(?:th|st|nd|rd|s)\b")  # the $n$th
_AFTER_BLOCK = re.compile(r"\s*[.,;:]?\s*")


def add_formulas(markdown: MarkdownIt) -> None:
    """Teach the parser formulas; they leave it as `math-inline` and `math-display` elements with the source inside."""
    markdown.inline.ruler.before("escape", "formula", _inline_formula)
    markdown.block.ruler.before(
        "fence", "formula", _block_formula, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    markdown.add_render_rule("formula", _render)


def _render(
    renderer: RendererHTML, tokens: "list[Token]", index: int, _options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    env["formulas"] = env.get("formulas", 0) + 1
    if env["formulas"] > MAX_FORMULAS or len(token.content) > MAX_FORMULA_CHARACTERS:
        written = escape_html(token.content + token.info).replace("\n", "<br>")
        return f"<p>{written}</p>\n" if token.block else written
    kind = "math-display" if token.meta["display"] else "math-inline"
    html = f'<span class="{kind}">{escape_html(token.content)}</span>'
    return f"<p>{html}{escape_html(token.info)}</p>\n" if token.block else html


def _inline_formula(state: StateInline, silent: bool) -> bool:
    for opening, closing, display in _DELIMITERS:
        if not state.src.startswith(opening, state.pos):
            continue
        start = state.pos + len(opening)
        end = _find_closing(state, start, closing)
        if end is None or not state.src[start:end].strip():
            return False
        end += len(closing)
        if opening == "$" and not _is_dollar_formula(state.src, start, end, state.posMax):
            return False
        if not silent:
            token = state.push("formula", "span", 0)
            token.content = state.src[state.pos : end]
            token.meta = {"display": display}
        state.pos = end
        return True
    return False


def _find_closing(state: StateInline, start: int, closing: str) -> int | None:
    """Where the next closing begins. A search that failed is remembered: a text full of openings stays linear."""
    failed: dict[tuple[str, str], int] = state.env.setdefault("formulas_without_end", {})
    key = (state.src, closing)
    if failed.get(key, start + 1) <= start:
        return None
    position = start
    while position < state.posMax:
        if state.src.startswith(closing, position):
            return position if position + len(closing) <= state.posMax else None
        position += 2 if state.src[position] == "\\" else 1
    failed[key] = min(start, failed.get(key, start))
    return None


def _is_dollar_formula(text: str, start: int, end: int, limit: int) -> bool:
    """Pandoc's rule, which leaves prices alone: no white space inside of the dollars, and no digit after them. And no
    letter at either side, as in $HOME/bin:$PATH and US$5.
    """
    if text[start].isspace() or text[end - 2].isspace() or (start > 1 and text[start - 2].isalnum()):
        return False
    return end >= limit or not text[end].isalnum() or _SUFFIX.match(text, end) is not None


def _block_delimiters(text: str, begin: int) -> tuple[str, str] | None:
    if environment := _ENVIRONMENT.match(text, begin):
        return environment.group(), f"\\end{{{environment.group(1)}}}"
    return next(((d[0], d[1]) for d in _DELIMITERS if d[2] and text.startswith(d[0], begin)), None)


def _block_formula(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A formula that begins a line and ends one; what is inside is no list, no heading, no quotation."""
    if state.is_code_block(start_line):
        return False
    begin = state.bMarks[start_line] + state.tShift[start_line]
    delimiters = _block_delimiters(state.src, begin)
    if delimiters is None:
        return False
    opening, closing = delimiters
    end_line = min(end_line, start_line + _MAX_BLOCK_LINES)
    if state.src.find(closing, begin + len(opening), state.eMarks[end_line - 1]) < 0:
        return False
    lines: list[str] = []
    for line in range(start_line, end_line):
        if line > start_line and not state.isEmpty(line) and state.sCount[line] < state.blkIndent:
            return False
        text = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
        found = text.find(closing, len(opening) if line == start_line else 0)
        if found < 0:
            lines.append(text)
            continue
        end = found + len(closing)
        if (
            not _AFTER_BLOCK.fullmatch(text[end:])
            or not "".join([*lines, text[:found]])[len(opening) :].strip()
        ):
            return False
        if not silent:
            token = state.push("formula", "p", 0)
            token.block = True
            token.content = "\n".join([*lines, text[:end]])
            token.info = text[end:].strip()
            token.meta = {"display": True}
            token.map = [start_line, line + 1]
        state.line = line + 1
        return True
    return False


def hide_bars(line: str, stand_in: str) -> str:
    """The line with every | inside of a formula replaced by `stand_in`: it divides no cells of a table."""
    hidden, position = [], 0
    while position < len(line):
        end = _formula_end(line, position)
        part = line[position:end] if end else line[position : position + (2 if line[position] == "\\" else 1)]
        hidden.append(part.replace("|", stand_in) if end else part)
        position += len(part)
    return "".join(hidden)


def _formula_end(line: str, begin: int) -> int | None:
    for opening, closing, _ in _DELIMITERS:
        if line.startswith(opening, begin):
            found = line.find(closing, begin + len(opening))
            if found < 0 or not line[begin + len(opening) : found].strip():
                return None
            end = found + len(closing)
            if opening == "$" and not _is_dollar_formula(line, begin + 1, end, len(line)):
                return None
            return end
    return None
