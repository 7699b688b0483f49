"""Hostile and ordinary text, as it leaves the server."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.rendering.markdown import excerpt, render_markdown
from tests.annotation.rendering.cpu_limit import render_all

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox)",
    "[x](file:///etc/passwd)",
    "![x](http://evil.example/pixel.png)",
    "![x](data:image/svg+xml;base64,AAAA)",
    '![x"onerror="alert(1)](http://evil.example/"onerror="alert(1))',
    '[x](http://example.com/"onmouseover="alert(1))',
    "<http://evil.example/<script>>",
    "<style>@import 'http://evil.example/x.css'</style>",
    "<iframe src=//evil.example></iframe>",
    "<link rel=stylesheet href=//evil.example>",
    '<div style="background:url(//evil.example)">x</div>',
    "$\\href{javascript:alert(1)}{x}$ $\\includegraphics{http://evil.example}$",
    "```<img src=x onerror=alert(1)>\n<script>alert(1)</script>\n```",
    '```" onclick="alert(1)\ncode\n```',
    "```html\n<script>alert(1)</script>\n```",
    "|a|\n|:-:|\n|<script>alert(1)</script>|",
    "\u202eevil\u202d text \u2066isolated",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#x3c;script&#x3e;",
    "<form action=//evil.example><button>go</button></form>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "{{ settings.SECRET_KEY }}{% include 'x' %}",
    "a" * 200_000,
    ("> " * 500) + "deep",
    "[" * 3000,
    "*" * 20_000,
    "<" * 20_000,
    "\n".join("|a" * 50 for _ in range(200)),
]
ALLOWED = {
    *("p", "br", "hr", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "span", "div"),
    *("strong", "em", "s", "a", "table", "thead", "tbody", "tr", "th", "td"),
}


class Inspector(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def assert_harmless(html):
    inspector = Inspector()
    inspector.feed(html)
    for tag, attributes in inspector.found:
        assert tag in ALLOWED
        assert set(attributes) <= {
            "class",
            "href",
            "title",
            "rel",
            "target",
            "tabindex",
            "role",
            "aria-label",
            "start",
        }
        assert "style" not in attributes
        if "href" in attributes:
            assert re.match(r"(https?://|mailto:|[^:]*$)", attributes["href"], re.IGNORECASE)
            assert "noopener" in attributes["rel"]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:30])
def test_hostile_text_becomes_harmless_html(text):
    assert_harmless(render_markdown(text))


def test_hostile_texts_cost_little():
    """0.1 processor seconds in all when this was written, beside some for the start of the process."""
    assert render_all(HOSTILE, cpu_seconds=30) == 0


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("<>\"'`|-:[]()!*_#&;= \nabjavscript/\u202e$\\{}"), max_size=200))
def test_no_text_at_all_becomes_harmful_html(text):
    assert_harmless(render_markdown(text))


def test_an_image_is_named_and_never_fetched():
    html = render_markdown("See ![a chart](http://evil.example/x.png)")
    assert "<img" not in html
    assert "Image: a chart http://evil.example/x.png" in html


def test_code_is_highlighted_by_classes_and_can_be_scrolled_by_keyboard():
    html = render_markdown("```python\ndef f(x):\n    return x < 1\n```")
    assert '<pre class="code-block" tabindex="0">' in html
    assert '<span class="k">def</span>' in html
    assert "&lt;" in html


def test_an_unknown_language_is_plain_code():
    assert "<code>x &lt; 1\n</code>" in render_markdown("```klingon\nx < 1\n```")


def test_table_alignment_is_a_class():
    html = render_markdown("|a|b|c|\n|:-|:-:|-:|\n|1|2|3|")
    assert '<td class="text-center">2</td>' in html
    assert '<td class="text-end">3</td>' in html
    assert 'role="region"' in html


def test_headings_stay_below_the_pages_own():
    assert "<h3>Title</h3>" in render_markdown("# Title")


def test_an_excerpt_is_one_line():
    assert excerpt("a\n\n b " + "c" * 300, 20) == "a b " + "c" * 15 + "…"


def test_lines_keep_their_indentation_and_blank_lines_their_number():
    assert render_markdown("  so much\n    depends\nupon\n\n\n\na  red") == (
        "<p>  so much<br>    depends<br>upon</p>\n"
        + '<p class="blank-line"><br></p>\n' * 2
        + "<p>a  red</p>\n"
    )
    assert "<code>    x = 1\n</code>" in render_markdown("def f():\n\n    x = 1\n")
    assert '<p class="tight">one<br>  two</p>' in render_markdown("- one\n    two\n- three")


def test_no_cell_and_no_definition_of_a_link_is_lost():
    assert "<table>" not in render_markdown("|a|b|\n|-|-|\n|1|2|3|")
    assert "|1|2|3|" in render_markdown("|a|b|\n|-|-|\n|1|2|3|")
    html = render_markdown("|a|b|\n|-|-|\n|x \\| y|2|\n|3|")
    assert "<td>x \\| y</td>" in html and "<td>3</td>" in html
    assert "[1]: https://example.org" in render_markdown("See [1].\n\n[1]: https://example.org")
