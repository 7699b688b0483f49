"""The browser tests ask for what stands on a page with `expect`, which waits for it: a page draws when it can, and
`assert page.is_visible(...)` sees the moment before.
"""

import ast
from pathlib import Path

TESTS = Path(__file__).parent
READ_ONCE = {"is_visible", "is_hidden", "is_checked", "is_enabled", "is_disabled"}


def states_read_once(source: str) -> list[int]:
    """Lines whose `assert` reads a state of a page at once."""
    return [
        statement.lineno
        for statement in ast.walk(ast.parse(source))
        if isinstance(statement, ast.Assert)
        for node in ast.walk(statement.test)
        if isinstance(node, ast.Attribute) and node.attr in READ_ONCE
    ]


def test_no_browser_test_asserts_a_state_that_it_reads_once():
    found = {}
    for path in TESTS.rglob("test_*.py"):
        source = path.read_text()
        if (
            "pytest.mark.browser" in source
            and path.name != Path(__file__).name
            and (lines := states_read_once(source))
        ):
            found[path.relative_to(TESTS).as_posix()] = lines
    assert found == {}


def test_an_assert_that_reads_once_is_found():
    source = "assert page.is_visible('#a')\nexpect(page.locator('#a')).to_be_visible()\nassert not box.is_checked()\n"
    assert states_read_once(source) == [1, 3]
