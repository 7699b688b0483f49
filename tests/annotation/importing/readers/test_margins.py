import pytest

from annotation.importing.readers.margins import Margins
from annotation.importing.rows import RowError
from tests.annotation.importing.readers.conftest import make_reader

PAIR = {"prompt": "Why?", "chosen": "a", "rejected": "b"}


@pytest.mark.parametrize(
    ("rule", "margins", "strengths"),
    [
        # Llama 2, table 27: significantly better, better, slightly better, negligibly better.
        ("large", [3, 2.0, "1", 0], [3, 2, 1, 0]),
        ("small", [1, 2 / 3, 0.33, 0.0], [3, 2, 1, 0]),
        ("0.5,1,2", [0, 0.49, 0.5, 0.99, 1, 1.99, 2, 700], [0, 0, 1, 1, 2, 2, 3, 3]),
    ],
)
def test_margins_become_strengths_by_the_rule_given(rule, margins, strengths):
    reader = make_reader("trl", margins=rule)
    found = [reader.read(PAIR | {"margin": margin}, 1)[0].strengths for margin in margins]
    assert found == [[strength] for strength in strengths]


def test_a_strength_of_the_row_wins_over_its_margin_and_a_tie_has_none():
    reader = make_reader("trl", margins="large")
    assert reader.read(PAIR | {"margin": 3, "strength": 1}, 1)[0].strengths == [1]
    assert reader.read(PAIR | {"margin": 7, "soft_label": 0.5}, 1)[0].strengths == []
    assert reader.read(PAIR | {"margin": None}, 1)[0].strengths == [None]


def test_without_a_rule_margins_are_counted_and_not_read():
    margins = Margins()
    reader = make_reader("trl")
    reader._margins = margins
    for margin in (3.0, -1, "x", None):
        assert reader.read(PAIR | {"margin": margin}, 1)[0].strengths == [None]
    reader.read(PAIR | {"margin": 1, "strength": 0}, 1)
    assert margins.unread == 3


@pytest.mark.parametrize(
    ("rule", "margin", "problem"),
    [
        ("large", 1.5, "margin: is 1.5, which is not on the scale large (0, 1, 2, 3)"),
        ("small", 3, "margin: is 3, which is not on the scale small (0, 0.33, 0.67, 1)"),
        ("1,2,3", -0.5, "margin: is -0.5: the chosen response cannot be better by less than nothing"),
        ("1,2,3", "much", "margin: should be a number but is “much”"),
    ],
)
def test_a_margin_that_the_rule_has_not_is_refused(rule, margin, problem):
    with pytest.raises(RowError) as found:
        make_reader("trl", margins=rule).read(PAIR | {"margin": margin}, 1)
    assert str(found.value) == problem


@pytest.mark.parametrize("rule", ["big", "1,2", "3,2,1", "1,1,2", "-1,0,1", "0,1,inf", "1,2,3,4", ","])
def test_a_rule_that_is_none_is_refused(rule):
    with pytest.raises(RowError, match="is no rule: write small, large, or"):
        Margins(rule)
