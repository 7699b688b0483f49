"""Code in colours, as Pygments' classes: for a list of languages and within limits.

A lexer is a set of regular expressions that run over a stranger's text and hold the interpreter while they do. Some of
Pygments' six hundred need exponential time, and its maintainers leave it to applications to bound that: those below
were tried (tests/annotation/rendering/test_highlighting.py), and all of them are given little text.
"""

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments import format as format_tokens  # type: ignore[import-untyped]
from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]

MAX_BLOCK_CHARACTERS = 4_000
MAX_TEXT_CHARACTERS = 10_000
# Java's takes time that grows with the square of the text: 2.7 s for 4,000 characters.
_OWN_MAXIMUM = {"java": 2_000}
# Long white space is what those of the C family are slow at (6.8 s for 4,000 line ends); code has none.
_LONG_WHITE_SPACE = re.compile(r"\s{100}")

# Pygments' name of a language, and what it is called after a code fence.
_LANGUAGES = {
    "bash": ("sh", "shell", "zsh", "ksh"),
    "c": ("h",),
    "cpp": ("c++", "cc", "cxx", "hpp"),
    "css": (),
    "diff": ("patch", "udiff"),
    "docker": ("dockerfile",),
    "go": ("golang",),
    "html": ("htm", "xhtml"),
    "ini": ("cfg", "conf", "dosini"),
    "java": (),
    "javascript": ("js", "jsx", "mjs", "node"),
    "json": ("jsonc", "json5"),
    "kotlin": ("kt",),
    "latex": ("tex",),
    "php": (),
    "powershell": ("ps1", "pwsh"),
    "python": ("py", "python3", "py3"),
    "r": (),
    "ruby": ("rb",),
    "rust": ("rs",),
    "sql": ("mysql", "postgresql", "postgres", "sqlite"),
    "swift": (),
    "toml": (),
    "typescript": ("ts", "tsx"),
    "xml": ("svg",),
    "yaml": ("yml",),
}
LEXERS = tuple(_LANGUAGES)
_LEXER_BY_NAME = {name: lexer for lexer, names in _LANGUAGES.items() for name in (lexer, *names)}
# Nothing is stripped, added or turned into blanks: what is shown is what was written.
_KEEP_TEXT = {"stripnl": False, "ensurenl": False}
_OWN_OPTIONS = {"php": {"startinline": True}}


class HighlightBudget:
    """How many characters of one text may still be put in colours."""

    def __init__(self) -> None:
        self._remaining = MAX_TEXT_CHARACTERS

    def take(self, characters: int) -> bool:
        """Whether so many may be; then they are spent."""
        if characters > self._remaining:
            return False
        self._remaining -= characters
        return True


def highlight_code(code: str, language: str, budget: HighlightBudget) -> SafeString:
    """Code as safe HTML for a <pre class="code-block">: Pygments' spans, or the escaped text."""
    lexer_name = _LEXER_BY_NAME.get(language.lower())
    if lexer_name is None or not _is_readable(code, lexer_name) or not budget.take(len(code)):
        return escape(code)
    tokens = tokenize(code, lexer_name)
    if "".join(text for _, text in tokens) != code:
        return escape(code)
    html: str = format_tokens(tokens, HtmlFormatter(nowrap=True))
    # The formatter ends the last line in any case.
    return mark_safe(html if code.endswith("\n") else html.removesuffix("\n"))  # noqa: S308 - it escapes each token


def _is_readable(code: str, lexer_name: str) -> bool:
    maximum = _OWN_MAXIMUM.get(lexer_name, MAX_BLOCK_CHARACTERS)
    return len(code) <= maximum and not _LONG_WHITE_SPACE.search(code)


def tokenize(code: str, lexer_name: str) -> list[tuple[object, str]]:
    """What the lexer of this name (one of LEXERS) makes of the code."""
    lexer = get_lexer_by_name(lexer_name, **_KEEP_TEXT, **_OWN_OPTIONS.get(lexer_name, {}))
    return list(lexer.get_tokens(code))
