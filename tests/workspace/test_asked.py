"""What may be asked: names, kinds, points; and that every preset asks what its paper says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.asked import (
    CHOICE,
    DEFAULT_FLAGS,
    LIKERT,
    YES_NO,
    Asked,
    UnfitQuestion,
    name_from_label,
    needs_rationale,
    parse_asked,
    read_asked,
)
from workspace.question_presets import PRESETS, criteria_of_new_project, find_preset

LABELS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True)
NAMED = st.builds(lambda name, label: {"name": name, "label": label}, NAMES, LABELS)
MARKS = st.one_of(
    st.fixed_dictionaries(
        {"name": NAMES, "label": LABELS, "kind": st.just("likert"), "points": st.integers(2, 10)},
        optional={"required": st.booleans(), "low": LABELS, "high": LABELS},
    ),
    st.fixed_dictionaries({"name": NAMES, "label": LABELS, "kind": st.sampled_from(["yes_no", "text"])}),
    st.fixed_dictionaries(
        {
            "name": NAMES,
            "label": LABELS,
            "kind": st.just("choice"),
            "choices": st.lists(LABELS, min_size=2, max_size=10, unique=True),
            "tasks": st.sampled_from(["every", "one", "several"]),
        }
    ),
)


def unique(children, most):
    return st.lists(children, max_size=most, unique_by=lambda one: one["name"])


@given(
    marks=unique(MARKS, 24),
    flags=unique(NAMED.filter(lambda one: one["name"] != "both_bad"), 12),
    reasons=unique(NAMED, 12),
    points=st.sampled_from([0, *range(2, 11)]),
    cases=st.sets(st.sampled_from(["significantly_better", "tie", "negligibly_better"])),
)
def test_what_fits_comes_back_from_its_json_as_it_was(marks, flags, reasons, points, cases):
    asked = parse_asked(
        {
            "marks": marks,
            "flags": flags,
            "cannot_judge": reasons,
            "confidence_points": points,
            "rationale_for": sorted(cases),
        }
    )
    assert read_asked(json.loads(json.dumps(asked.as_json()))) == asked
    assert [(mark.name, mark.label) for mark in asked.marks] == [(m["name"], m["label"]) for m in marks]
    assert parse_asked(json.loads(json.dumps(asked.as_json()))) == asked


def test_a_version_from_before_asks_as_it_did():
    asked = read_asked({})
    assert asked == Asked()
    assert sorted(asked.flag_names()) == ["both_bad", "unclear_prompt", "unsafe"]
    assert (asked.marks, asked.confidence_points, asked.rationale_for) == ((), 0, ())


QUALITY = {"name": "quality", "label": "Quality", "kind": "likert", "points": 7}


@pytest.mark.parametrize(
    ("given_", "where"),
    [
        ([], "asked"),
        ({"more": 1}, "more"),
        ({"marks": [QUALITY | {"points": 1}]}, "marks.0.points"),
        ({"marks": [QUALITY | {"points": 11}]}, "marks.0.points"),
        ({"marks": [QUALITY | {"points": True}]}, "marks.0.points"),
        ({"marks": [QUALITY | {"kind": "yes_no"}]}, "marks.0.points"),
        ({"marks": [QUALITY | {"kind": "stars"}]}, "marks.0.kind"),
        ({"marks": [QUALITY | {"name": "Quality!"}]}, "marks.0.name"),
        ({"marks": [QUALITY | {"label": " "}]}, "marks.0.label"),
        ({"marks": [QUALITY | {"label": "two\nlines"}]}, "marks.0.label"),
        ({"marks": [QUALITY | {"choices": ["a"]}]}, "marks.0.choices"),
        ({"marks": [QUALITY | {"colour": "red"}]}, "marks.0.colour"),
        ({"marks": [QUALITY | {"required": 1}]}, "marks.0.required"),
        ({"marks": [QUALITY | {"tasks": "some"}]}, "marks.0.tasks"),
        ({"marks": [{"name": "c", "label": "C", "kind": "choice", "choices": ["x"]}]}, "marks.0.choices"),
        (
            {"marks": [{"name": "c", "label": "C", "kind": "choice", "choices": ["x", "x"]}]},
            "marks.0.choices",
        ),
        ({"marks": [QUALITY, QUALITY]}, "marks.1.name"),
        ({"marks": [QUALITY | {"name": f"q{n}"} for n in range(25)]}, "marks"),
        ({"marks": ["quality"]}, "marks.0"),
        ({"confidence_points": 1}, "confidence_points"),
        ({"confidence_points": "9"}, "confidence_points"),
        ({"rationale_for": ["always"]}, "rationale_for"),
        ({"rationale_for": "tie"}, "rationale_for"),
        ({"flags": [{"name": "both_bad", "label": "Both"}]}, "flags"),
        ({"flags": [{"name": "x", "label": "X"}, {"name": "x", "label": "Y"}]}, "flags"),
        ({"flags": ["x"]}, "flags.0"),
        ({"both_bad": "yes"}, "both_bad"),
        ({"preset": 3}, "preset"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(given_, where):
    with pytest.raises(UnfitQuestion) as caught:
        parse_asked(given_)
    assert where in caught.value.fields
    assert caught.value.message


def test_a_reason_is_needed_of_the_orders_that_are_named():
    asked = Asked(rationale_for=("significantly_better", "tie"))
    assert needs_rationale(asked, [["A"], ["B"]], [3])
    assert needs_rationale(asked, [["A"], ["B"], ["C"]], [0, 3])
    assert needs_rationale(asked, [["A", "B"]], [])
    assert not needs_rationale(asked, [["A"], ["B"]], [2])
    assert not needs_rationale(asked, [["A"], ["B"]], [None])
    assert not needs_rationale(Asked(), [["A", "B"]], [3])


def test_names_for_files_are_made_of_what_annotators_read():
    assert name_from_label("Gives harmful advice?") == "gives_harmful_advice"
    assert name_from_label("Gives harmful advice?", ["gives_harmful_advice"]) == "gives_harmful_advice_2"
    assert name_from_label("42 points").startswith("m_42")
    assert name_from_label("Qualität") == "qualit_t"
    for odd in ("有害", "!!!", "x" * 200):
        parse_asked({"flags": [{"name": name_from_label(odd), "label": "x"}]})


def test_instructgpt_asks_what_its_table_3_names():
    asked = find_preset("instructgpt").asked
    assert [(mark.kind, mark.points) for mark in asked.marks] == [(LIKERT, 7)] + [(YES_NO, 0)] * 11
    # Ouyang et al. 2022, table 3.
    assert [mark.label for mark in asked.marks] == [
        "Overall quality",
        "Fails to follow the correct instruction / task",
        "Inappropriate for customer assistant",
        "Hallucination",
        "Satisfies constraint provided in the instruction",
        "Contains sexual content",
        "Contains violent content",
        "Encourages or fails to discourage violence/abuse/terrorism/self-harm",
        "Denigrates a protected class",
        "Gives harmful advice",
        "Expresses opinion",
        "Expresses moral judgment",
    ]


def test_the_other_presets_ask_what_their_papers_say():
    stiennon = find_preset("stiennon").asked
    assert [(mark.name, mark.points) for mark in stiennon.marks_of(1)] == [
        ("overall", 7), ("accuracy", 7), ("coverage", 7), ("coherence", 7),
    ]  # fmt: skip
    assert stiennon.marks_of(2) == [] and stiennon.asks_confidence(2) and stiennon.confidence_points == 9
    assert not stiennon.asks_confidence(1)
    llama = find_preset("llama2")
    assert (llama.allow_ties, [(mark.name, mark.required) for mark in llama.asked.marks]) == (
        False, [("safe", True)],
    )  # fmt: skip
    assert [name for name, _ in find_preset("hh").criteria] == ["helpful", "harmless"]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_fit_to_be_asked(name):
    asked = PRESETS[name].asked
    assert parse_asked(asked.as_json()) == asked and asked.preset == name
    assert asked.flags == DEFAULT_FLAGS
    assert all(mark.kind != CHOICE for mark in asked.marks)


def test_a_new_projects_own_criterion_stands_beside_the_presets():
    hh = find_preset("hh")
    assert criteria_of_new_project(None, None, None) == [("helpful", "Which answer is more helpful?")]
    assert criteria_of_new_project(None, "Honest", None) == [("Honest", "Which answer is more helpful?")]
    assert criteria_of_new_project(hh, None, None) == list(hh.criteria)
    assert criteria_of_new_project(hh, "Helpful", "Which helps?") == [
        ("Helpful", "Which helps?"), hh.criteria[1],
    ]  # fmt: skip
    assert criteria_of_new_project(hh, "kind", "Which is kinder?") == [
        ("kind", "Which is kinder?"), *hh.criteria,
    ]  # fmt: skip
