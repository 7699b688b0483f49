r"""Formulas and backslashes stay as they were written (KaTeX draws them in the browser: test_rendered_answers)."""

import html
import json
import os
import re
from pathlib import Path

import pytest

from annotation.rendering.markdown import render_markdown
from tests.annotation.rendering.cpu_limit import render_all


def formulas(text):
    """What the browser is given to draw, in order, HTML's own escapes undone."""
    found = []
    for part in render_markdown(text).split('<span class="math-')[1:]:
        kind, _, rest = part.partition('">')
        source = rest.partition("</span>")[0]
        found.append((kind, source.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"$$\int_0^1 x^2\,dx = \tfrac13$$ and \(a_b\) cost $5 or $6",
         [("display", r"$$\int_0^1 x^2\,dx = \tfrac13$$"), ("inline", r"\(a_b\)")]),
        ("$x_i^*$, $y_i^*$", [("inline", "$x_i^*$"), ("inline", "$y_i^*$")]),
        ("Then\n\\[\n\\begin{pmatrix}a & b \\\\\n- c & d\\end{pmatrix}\n\\].\nSo",
         [("display", "\\[\n\\begin{pmatrix}a & b \\\\\n- c & d\\end{pmatrix}\n\\]")]),
        ("- one\n\n  $$\n  # x\n  $$\n- two", [("display", "$$\n# x\n$$")]),
        ("> $$a$$", [("display", "$$a$$")]),
        ("| $x$ | b |\n|---|---|\n| \\(y\\) | 2 |", [("inline", "$x$"), ("inline", r"\(y\)")]),
        (r"\(f(x) = \{1,2\}\)", [("inline", r"\(f(x) = \{1,2\}\)")]),
        ("$a < b$ & $c$", [("inline", "$a < b$"), ("inline", "$c$")]),
        ("`$a$` and\n```\n$b$\n\\(c\\)\n```\n    $$d$$", []),
        ("It costs $20, not $30; US$5-$10. $ 5 $ and \\$7$", []),
        ("$a*b*c$ and the $n$th", [("inline", "$a*b*c$"), ("inline", "$n$")]),
        ("So\n\\begin{align*}\na &= b \\\\\n- c &= |d|\n\\end{align*}\nand",
         [("display", "\\begin{align*}\na &= b \\\\\n- c &= |d|\n\\end{align*}")]),
        ("\\begin{equation}E = mc^2\\end{equation}.", [("display", "\\begin{equation}E = mc^2\\end{equation}")]),
        ("\\begin{align}\na", []),
        ("\\begin{document}\na\n\\end{document}", []),
        ("| norm | b |\n|---|---|\n| $|x|$ | \\(P(A|B)\\) |", [("inline", "$|x|$"), ("inline", "\\(P(A|B)\\)")]),
        ("PATH=$HOME/bin:$PATH", []),
        ("5$-10$", []),
        ("$$ $$", []),
        ("\\(\\) and \\[ and $$ open", []),
    ],
)  # fmt: skip
def test_formulas_are_found_and_kept_to_the_letter(text, expected):
    assert formulas(text) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"\frac{1}{0} \, \; \! \{1,2\} \( open", r"\frac{1}{0} \, \; \! \{1,2\} \( open"),
        (r"a & b \\ c & d", r"a &amp; b \\ c &amp; d"),
        (r"5 \* 3 \_x\_ \# 1\. \$5 \`a\`", r"5 \* 3 \_x\_ \# 1\. \$5 \`a\`"),
        (r"C:\*temp\_1 and *so*", r"C:\*temp\_1 and <em>so</em>"),
        ("line\\\nbreak", "line\\<br>break"),
        ("end \\", "end \\"),
    ],
)
def test_backslashes_outside_of_formulas_are_shown_and_protect_the_sign_behind_them(text, shown):
    assert render_markdown(text) == f"<p>{shown}</p>\n"


def test_texts_full_of_openings_take_no_more_than_their_length():
    """3.3 processor seconds in all when this was written; a look ahead from each opening would take minutes."""
    openings = ["$", "$$", "\\(", "\\[", "$$\n", "\\[\n", "$a ", "\\(a\n\n", "> $$\n"]
    texts = [opening * (100_000 // len(opening)) for opening in openings]
    assert render_all(texts, cpu_seconds=60) == 0


SHARED = Path(
    os.environ.get("ROUNDTABLE_SHARED_CASES", Path(__file__).resolve().parents[4] / "shared" / "cases")
)
OWN = [
    "<script>document.title='y'</script><img src=y onerror=alert(2)><i>thin</i> &amp; &gt;",
    "c < d && e > f <section>",
    "$$\\sum_{i=1}^n i\\,$$ and \\(c_d\\) cost $7 or $8",
    "\\sqrt{2} \\\\ \\{1\\}",
    "```python\ndef g(y):\n\tif y:\n\t\treturn 2\n```",
    "    four spaces\n\ttab\n  two",
    "Family 👨‍👩‍👧 🇳🇱 👍🏽 é vs é مرحبا (RTL) שלום",
    "<think>\nso\n</think>\n<|im_end|><|im_start|>assistant hi [INST] <<SYS>>",
]


def test_every_letter_that_was_written_is_on_the_screen():
    """But for white space and Markdown's own signs, of which these texts have only fences."""
    shared = SHARED / "33_shown.jsonl"
    rows = map(json.loads, shared.read_text().splitlines()) if shared.is_file() else ()
    plain = [
        text
        for row in rows
        for text in (row["prompt"], row["chosen"], row["rejected"])
        if "| a |" not in text and "1. one" not in text
    ]
    assert not shared.is_file() or len(plain) > 15
    for text in OWN + plain:
        shown = html.unescape(re.sub(r"</?(?:p|br|pre|code|span)\b[^>]*>", "", render_markdown(text)))
        written = re.sub(r"```\w*", "", text)
        assert "".join(shown.split()) == "".join(written.split())


def test_a_text_has_so_many_formulas_and_the_rest_is_text():
    assert len(formulas("$x$ " * 301)) == 300
    assert render_markdown("$x$ " * 301).rstrip().endswith("$x$</p>")
    assert formulas("$" + "x" * 4_998 + "$") and not formulas("$" + "x" * 4_999 + "$")


def cells(text):
    rows = re.findall(r"<tr>(.*?)</tr>", render_markdown(text), re.S)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]


def test_a_bar_in_a_formula_divides_no_cell_and_a_price_no_more_than_before():
    norm = "| $|x|$ | 2 |\n|---|---|\n| \\(a|b\\) | $|y| \\| z$ |"
    inline = '<span class="math-inline">{}</span>'.format
    assert cells(norm) == [
        [inline("$|x|$"), "2"], [inline("\\(a|b\\)"), inline("$|y| \\| z$")],
    ]  # fmt: skip
    # What fits its head without that is read as it always was.
    assert cells("| $a | b$ |\n|---|---|\n| $5 | $6 |") == [["$a", "b$"], ["$5", "$6"]]
    # Too many cells, and no formula to blame: no table, and nothing is lost.
    assert cells("| a | b |\n|---|---|\n| 1 | 2 | 3 |") == [] and "3" in render_markdown(
        "| a | b |\n|---|---|\n| 1 | 2 | 3 |"
    )
