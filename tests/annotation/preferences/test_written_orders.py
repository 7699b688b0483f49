"""Orders as people write them: what they say, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.preferences.written_orders import parse_order, write_order

LABELS = "ABCDEFGHI"


@pytest.mark.parametrize(
    ("text", "tiers", "strengths"),
    [
        ("A > B", [["A"], ["B"]], [None]),
        (" b>a ", [["B"], ["A"]], [None]),
        ("A >2 B", [["A"], ["B"]], [2]),
        ("A = B", [["A", "B"]], []),
        ("C >3 A = B", [["C"], ["A", "B"]], [3]),
        ("A=B > 0 C", [["A", "B"], ["C"]], [0]),
    ],
)
def test_an_order_is_read(text, tiers, strengths):
    labels = sorted({letter for letter in text.upper() if letter.isalpha()})
    assert parse_order(text, labels) == (tiers, strengths)


@pytest.mark.parametrize(
    "text", ["", "A", "A > A", "A > B > C", "A < B", "A >> B", "A B", "> B", "A > ", "A,B", "1 > 2"]
)
def test_what_does_not_name_each_answer_once_is_refused(text):
    with pytest.raises(ValueError, match="name each of A, B once"):
        parse_order(text, ["A", "B"])


@pytest.mark.parametrize("text", ["A >4 B", "A >10 B", "A > 22 B"])
def test_a_step_is_0_to_3(text):
    with pytest.raises(ValueError, match="a step says 0 to 3"):
        parse_order(text, ["A", "B"])


@given(st.data())
def test_what_is_written_is_read_back(data):
    labels = LABELS[: data.draw(st.integers(2, 9))]
    order = data.draw(st.permutations(labels))
    cuts = [data.draw(st.booleans()) for _ in order[1:]]
    tiers = [[order[0]]]
    for label, cut in zip(order[1:], cuts, strict=True):
        if cut:
            tiers.append([label])
        else:
            tiers[-1].append(label)
    steps = st.sampled_from([None, 0, 1, 2, 3])
    strengths = [data.draw(steps) for _ in tiers[1:]]
    assert parse_order(write_order(tiers, strengths), labels) == (tiers, strengths)
