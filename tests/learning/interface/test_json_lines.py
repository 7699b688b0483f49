import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.interface.json_lines import json_line

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8") | st.sampled_from("\u0085\u2028\u2029\x0b\x0c\x1c\r\n\\\"")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)  # fmt: skip


@given(VALUES)
def test_a_value_is_one_line_to_everybody_and_comes_back(value):
    line = json_line(value)
    assert line.endswith(b"\n")
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_does_not_have_is_refused(value):
    with pytest.raises(ValueError):
        json_line({"score": value})
