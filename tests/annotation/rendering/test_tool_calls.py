import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.rendering.conversation import display_texts
from annotation.rendering.messages import render_response
from annotation.rendering.tool_calls import indent_json

CALL = {"id": "c1", "name": "book<b>", "arguments": '{"people": 2, "at": "<script>7 pm</script>"}'}
TURNS = [
    {"role": "assistant", "content": "One **moment**.", "tool_calls": [CALL]},
    {"role": "tool", "content": "**full** <i>", "name": "book"},
    {"role": "assistant", "content": "No table."},
]


def test_a_call_is_shown_as_a_call_and_nothing_in_it_is_markup():
    html = render_response(TURNS)
    assert "<code>book&lt;b&gt;</code>" in html
    assert "<script" not in html and "<i>" not in html and "<b>" not in html
    assert "&lt;script&gt;7 pm&lt;/script&gt;" in html
    assert "<strong>moment</strong>" in html
    # A tool's result is data, not Markdown.
    assert "**full** &lt;i&gt;" in html
    assert "Tool (book)" in html
    assert html.index("moment") < html.index("people") < html.index("**full**") < html.index("No table.")


@pytest.mark.django_db
def test_the_calls_of_a_prompt_are_shown_in_their_turns():
    turns, _ = display_texts([{"role": "user", "content": "Book"}, *TURNS[:2]], {})
    assert [(turn.role, turn.speaker) for turn in turns] == [
        ("user", "User"), ("assistant", "Assistant"), ("tool", "Tool (book)"),
    ]  # fmt: skip
    assert "people" in turns[1].html


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('{"a":1,"b":[1,{"c":"x, {y}: \\"z\\""}],"d":{},"e":[ ]}',
         '{\n  "a": 1,\n  "b": [\n    1,\n    {\n      "c": "x, {y}: \\"z\\""\n    }\n  ],\n  "d": {},\n  "e": []\n}'),
        ('{"n": 1.50, "n": 12345678901234567890123, "u": "\\u00e9"}',
         '{\n  "n": 1.50,\n  "n": 12345678901234567890123,\n  "u": "\\u00e9"\n}'),
        ("{}", "{}"),
        ("people=2", "people=2"),
        ('{"a": ', '{"a": '),
        ("", ""),
    ],
)  # fmt: skip
def test_arguments_get_lines_and_keep_what_was_written(written, shown):
    assert indent_json(written) == shown


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_only_white_space_changes(value):
    written = json.dumps(value)
    assert json.loads(indent_json(written)) == value
