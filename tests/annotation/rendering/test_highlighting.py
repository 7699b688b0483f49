"""Which code gets colours, and that no lexer in use can be held up by a short text."""

import html
import re
import subprocess
import sys

import pytest

from annotation.rendering.highlighting import LEXERS, HighlightBudget, highlight_code
from annotation.rendering.markdown import render_markdown
from annotation.rendering.messages import render_response

SAMPLE = "x = 1 # one\n"


def coloured(code, language):
    return "<span" in highlight_code(code, language, HighlightBudget())


@pytest.mark.parametrize(
    "name", ["python", "PY", "c++", "js", "tsx", "sh", "yml", "html", "rs", "dockerfile"]
)
def test_common_languages_have_colours_under_their_usual_names(name):
    assert coloured("for x in 'a': FROM <b> 1\n", name)


@pytest.mark.parametrize("name", ["scala", "fish", "tcsh", "rego", "adl", "markdown", "klingon", ""])
def test_any_other_language_is_plain(name):
    """Of Pygments' own some take exponential time (scala: pygments#3247), and markdown picks others by name."""
    assert not coloured(SAMPLE, name)


@pytest.mark.parametrize("language", LEXERS)
@pytest.mark.parametrize(
    "code", ["\n\n  x\t= <1> & '\u00e9'\n\n\n", "no end", '\tif (a) { /* "', "\\\\ \u2028 $x"]
)
def test_colours_change_no_letter(language, code):
    assert html.unescape(re.sub("<[^>]*>", "", highlight_code(code, language, HighlightBudget()))) == code


def test_long_blocks_and_long_texts_are_plain():
    assert coloured("x" * 4_000, "python")
    assert not coloured("x" * 4_001, "python")
    assert not coloured("x" + " " * 100 + "y", "c")
    block = "```python\n" + "x = 1\n" * 600 + "```\n\n"  # 3,600 characters
    assert render_markdown(block * 3).count('<span class="mi">') == 2 * 600
    assert render_markdown(block * 3 + "```python\ny = 2\n```").count('<span class="mi">') == 2 * 600 + 1


def test_the_calls_of_a_response_count_to_its_sum():
    arguments = '{"a": "' + "b" * 3_300 + '"}'
    call = {"id": "c", "name": "f", "arguments": arguments}
    turns = [{"role": "assistant", "content": "", "tool_calls": [call]}] * 4
    assert render_response(turns).count('<span class="nt">') == 3


PROBE = r"""
import string, sys
from annotation.rendering.highlighting import tokenize
units = [*string.punctuation, *" \n\ta0", "a ", "a.", "a(", "a<", "a\n", "0a", "/*", "${", "{{", "::", "<a ", "- "]
starts = ["", '"', "'", "/*", "<a ", "{", "x = ", '"${', 'f"{', "<script>", "SELECT ", "$("]
for name in sys.argv[1:]:
    for unit in units:
        for start in starts:
            tokenize((start + unit * 80)[:80], name)
"""


def probe(names, timeout):
    """600 texts of 80 characters for each lexer, each repeating something that a regular expression may trip over. In
    a process that can be killed: a match that does not end holds the interpreter.
    """
    subprocess.run([sys.executable, "-c", PROBE, *names], check=True, timeout=timeout)


def test_no_lexer_needs_long_for_eighty_characters():
    """Together they take some seconds; an exponential one would not end in a lifetime."""
    probe(LEXERS, timeout=600)


def test_the_probe_notices_an_exponential_lexer():
    with pytest.raises(subprocess.TimeoutExpired):
        probe(["scala"], timeout=3)
