"""What the page says it saw, checked: bounds, labels, and back to files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.errors import InvalidJudgment
from annotation.preferences.evidence import clean_evidence, evidence_of_record

KEYS = {"A": 31, "B": 7, "C": 19}
SEEN = st.fixed_dictionaries({"seen_ms": st.integers(0, 86_400_000), "coverage": st.floats(0, 1)})


@given(st.dictionaries(st.sampled_from("ABC"), SEEN), st.sampled_from(["moved", "typed", "guided"]))
def test_what_a_page_can_have_seen_is_stored_by_response(responses, way):
    stored = clean_evidence({"responses": responses, "way": way, "questions": 21}, KEYS)
    assert stored is not None
    assert (stored["way"], stored["questions"]) == (way, 21)
    assert set(stored["responses"]) == {str(KEYS[label]) for label in responses}
    for label, seen in responses.items():
        kept = stored["responses"][str(KEYS[label])]
        assert kept["seen_ms"] == seen["seen_ms"]
        assert abs(kept["coverage"] - seen["coverage"]) <= 0.0005


@pytest.mark.parametrize("nothing", [None, {}])
def test_nothing_said_is_nothing_stored(nothing):
    assert clean_evidence(nothing, KEYS) is None


@pytest.mark.parametrize(
    "evidence",
    [
        "seen",
        [],
        {"other": 1},
        {"way": "guessed"},
        {"questions": -1},
        {"questions": 1001},
        {"questions": True},
        {"responses": []},
        {"responses": {"D": {"seen_ms": 1, "coverage": 0.5}}},
        {"responses": {"A": {"seen_ms": 1}}},
        {"responses": {"A": {"seen_ms": 1, "coverage": 0.5, "read": True}}},
        {"responses": {"A": {"seen_ms": 86_400_001, "coverage": 0.5}}},
        {"responses": {"A": {"seen_ms": -1, "coverage": 0.5}}},
        {"responses": {"A": {"seen_ms": 1.5, "coverage": 0.5}}},
        {"responses": {"A": {"seen_ms": 1, "coverage": 1.01}}},
        {"responses": {"A": {"seen_ms": 1, "coverage": -0.1}}},
        {"responses": {"A": {"seen_ms": 1, "coverage": float("nan")}}},
        {"responses": {"A": {"seen_ms": 1, "coverage": True}}},
        {"responses": {"A": {"seen_ms": 1, "coverage": 10**400}}},
        {"responses": {"A": 5}},
    ],
)
def test_what_it_cannot_have_seen_is_refused(evidence):
    with pytest.raises(InvalidJudgment):
        clean_evidence(evidence, KEYS)


def test_files_name_the_responses_by_their_own_ids():
    stored = clean_evidence({"responses": {"B": {"seen_ms": 5, "coverage": 1}}, "way": "typed"}, KEYS)
    assert evidence_of_record(stored, {31: "x", 7: "y", 19: "z"}) == {
        "responses": {"y": {"seen_ms": 5, "coverage": 1.0}},
        "way": "typed",
    }
    assert evidence_of_record(None, {}) is None
    assert evidence_of_record({"way": "moved"}, {}) == {"way": "moved"}
