import pytest

from annotation.importing.report import RowError
from annotation.text import MAX_EXCERPT_CHARACTERS, safe_excerpt


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("“quotes”, é and 👍", "“quotes”, é and 👍"),
        ("two\nlines\ttab", "two\\nlines\\ttab"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("half \ud800", "half \\ud800"),
        ("back\u202ewards", "back\\u202ewards"),
        ("a\0", "a\\x00"),
    ],
)
def test_what_a_terminal_obeys_or_an_encoder_refuses_is_spelled_out(text, shown):
    assert safe_excerpt(text) == shown
    problem = RowError(text, f"is {text}")
    assert str(problem) == f"{shown}: is {shown}"
    str(problem).encode()


@pytest.mark.parametrize("letter", ["x", "\ud800", "\n"])
def test_a_long_quotation_keeps_its_two_ends(letter):
    reason = RowError("a", f"is {letter * 5_000_000}; do this").reason
    assert len(reason) <= MAX_EXCERPT_CHARACTERS
    assert reason.startswith("is ")
    assert reason.endswith("; do this")
    assert "…" in reason
