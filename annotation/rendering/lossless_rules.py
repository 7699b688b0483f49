r"""Markdown rules under which nothing that was written is lost: backslashes, white space, blank lines, cells.

A model's answer is judged as it was written, and half of its backslashes are no escapes: paths, TeX, regular
expressions. So a backslash is always shown; one before punctuation also keeps that sign from being Markdown.
"""

import string

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.code import code
from markdown_it.rules_block.paragraph import paragraph
from markdown_it.rules_block.table import table
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from annotation.rendering.formulas import hide_bars

_PUNCTUATION = frozenset(string.punctuation)
_HIDDEN_BAR = "\ud800"  # half of a surrogate pair: no stored text has one
_MAX_BLANK_LINES = 20  # shown between two blocks


def add_lossless_rules(markdown: MarkdownIt) -> None:
    """Teach the parser to keep what was written."""
    # A definition of a link is a line of the text, a source perhaps: it would not be on the screen.
    markdown.disable("reference")
    markdown.inline.ruler.at("escape", _shown_backslash)
    markdown.inline.ruler.at("newline", _line_break)
    markdown.block.ruler.at("paragraph", _paragraph_with_its_indent)
    markdown.block.ruler.at("code", _code_with_its_indent)
    markdown.block.ruler.at("table", _whole_table, {"alt": ["paragraph", "reference"]})
    markdown.add_render_rule("hardbreak", _render_break)


def _render_break(
    renderer: RendererHTML, tokens: "list[Token]", index: int, _options: OptionsDict, _env: EnvType
) -> str:
    return "<br>"


def _shown_backslash(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "\\":
        return False
    # \\ ends a line in TeX: its second half escapes nothing.
    length = 2 if state.src[state.pos + 1 : state.pos + 2] in _PUNCTUATION else 1
    if not silent:
        state.pending += state.src[state.pos : state.pos + length]
    state.pos += length
    return True


def _line_break(state: StateInline, silent: bool) -> bool:
    """A line ends where it was ended, and the next one keeps its indentation."""
    if state.src[state.pos] != "\n":
        return False
    if not silent:
        state.push("hardbreak", "br", 0)
    state.pos += 1
    return True


def _paragraph_with_its_indent(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    found = paragraph(state, start_line, end_line, silent)
    if found and not silent:
        lines = state.getLines(start_line, state.line, state.blkIndent, False)
        state.tokens[-2].content = lines.rstrip()
    return found


def _code_with_its_indent(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    found = code(state, start_line, end_line, silent)
    if found:
        lines = state.getLines(start_line, state.line, state.blkIndent, False)
        state.tokens[-1].content = lines + "\n"
    return found


def _whole_table(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A table whose rows fit its head, if need be with the bars of formulas as a part of them."""
    if _fitting_table(state, start_line, end_line, silent):
        return True
    if silent or "|" not in state.src[state.bMarks[start_line] : state.eMarks[start_line]]:
        return False
    written, before = state.src, len(state.tokens)
    lines = [hide_bars(line, _HIDDEN_BAR) for line in written.split("\n")]
    if (hidden := "\n".join(lines)) == written:
        return False
    state.src = hidden
    try:
        found = _fitting_table(state, start_line, end_line, silent)
    finally:
        state.src = written
    for token in state.tokens[before:]:
        token.content = token.content.replace(_HIDDEN_BAR, "|")
    return found


def _fitting_table(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """A table whose rows fit its head; Markdown would drop the cells that are too many."""
    before, line, parent = len(state.tokens), state.line, state.parentType
    if not table(state, start_line, end_line, silent):
        return False
    if silent:
        return True
    rows: dict[int, list[Token]] = {}
    for token in state.tokens[before:]:
        if token.type == "inline" and token.map:
            rows.setdefault(token.map[0], []).append(token)
    for number, cells in rows.items():
        written = _split_cells(state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]])
        if len(written) > len(cells):
            del state.tokens[before:]
            state.line, state.parentType = line, parent
            return False
        for token, content in zip(cells, written, strict=False):
            token.content = content
    return True


def _split_cells(row: str) -> list[str]:
    """The cells of a row, with the backslashes of theirs."""
    cells, current, escaped = [], "", False
    for letter in row.strip():
        if letter == "|" and not escaped:
            cells.append(current)
            current = ""
        else:
            current += letter
        escaped = letter == "\\" and not escaped
    cells.append(current)
    if cells and not cells[0]:
        cells.pop(0)
    if cells and not cells[-1]:
        cells.pop()
    return [cell.strip() for cell in cells]


def keep_lines(tokens: list[Token]) -> list[Token]:
    """Each paragraph as an element of its own, also in lists, and the blank lines between blocks beyond the first."""
    kept: list[Token] = []
    end = None
    for token in tokens:
        if token.type in ("paragraph_open", "paragraph_close") and token.hidden:
            token.hidden = False
            if token.nesting == 1:
                token.attrSet("class", "tight")
        if token.level == 0 and token.map and token.nesting >= 0 and token.type != "inline":
            for _ in range(min(token.map[0] - end - 1, _MAX_BLANK_LINES) if end is not None else 0):
                kept += [
                    Token("paragraph_open", "p", 1, attrs={"class": "blank-line"}, block=True),
                    Token("inline", "", 0, children=[Token("hardbreak", "br", 0)]),
                    Token("paragraph_close", "p", -1, block=True),
                ]
            end = token.map[1]
        kept.append(token)
    return kept
