import copy

import pytest

from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.records import RecordsReader
from annotation.importing.rows import RowError

JUDGMENT = {
    "judgment_id": "7", "supersedes": None, "is_current": True, "withdrawn": False, "surplus": False,
    "project": "kitchen", "batch": "b", "round": None, "criterion": "helpful", "purpose": "normal", "task_id": "3",
    "prompt_id": "p1", "prompt": [{"role": "user", "content": "Why?"}],
    "responses": [
        {"response_id": "x", "text": "a", "source": "policy", "policy": "base", "sampling": {"temperature": 1.0},
         "marks": {"harmful": 1.0}},
        {"response_id": "y", "text": "b", "source": "person", "policy": None, "sampling": None, "marks": {}},
        {"response_id": "z", "text": "c", "source": "import", "policy": None, "sampling": None, "marks": {}},
    ],
    "order_shown": ["z", "x", "y"], "tiers": [["y"], ["x", "z"]], "strengths": [2], "annotator": "annotator-1",
    "annotator_kind": "person", "rationale": "clear", "flags": ["hard"], "seconds": 12.5, "guideline_version": 1,
    "settings_version": 1, "split": "train", "created_at": "2026-01-31T09:30:00.000000Z",
}  # fmt: skip
COMPARISON = {
    "group_id": "g1", "criterion": "helpful", "prompt": [{"role": "user", "content": "Why?"}],
    "responses": ["a", "b", "c"], "response_ids": ["x", "y", "z"], "ranks": [1, 0, 1],
    "grade": [[None, None, None], [2.0, None, 2.4], [None, None, None]],
    "soft_preference": [[None, 0.0, 0.5], [1.0, None, 1.0], [0.5, 0.0, None]], "weight": 1.0, "n_annotators": 1,
    "agreement": None, "annotator_kind": "person", "round": None, "split": "train",
}  # fmt: skip


def read(row, criterion="helpful"):
    columns = ColumnMap(RecordsReader.fields, {}, format_name="records")
    return RecordsReader(columns, criterion=criterion, named_strengths={}).read(row, 1)


def changed(row, change):
    row = copy.deepcopy(row)
    for path, value in change.items():
        *parents, last = path.split(".")
        inside = row
        for part in parents:
            inside = inside[int(part) if part.isdigit() else part]
        inside[last] = value
    return row


def test_a_judgment_is_read_whole():
    (found,) = read(JUDGMENT)
    assert found.ranks == [1, 0, 1]
    assert (found.responses, found.response_ids) == (["a", "b", "c"], ["x", "y", "z"])
    assert (found.strengths, found.annotator, found.rationale) == ([2], "annotator-1", "clear")
    assert (found.flags, found.seconds, found.task_id, found.prompt_id) == (["hard"], 12.5, "3", "p1")
    assert found.sources == [["policy", "base"], ["person", "person"], ["import", "import"]]
    assert found.marks == [{"harmful": 1.0}, {}, {}]
    assert found.created_at == "2026-01-31T09:30:00+00:00"
    assert [found.response_ids[place] for place in found.order_shown] == JUDGMENT["order_shown"]
    assert found.sampling == [{"temperature": 1.0}, None, None]


def test_settings_of_sampling_are_numbers_also_where_they_are_written_as_text():
    given = {
        "temperature": "0.7",
        "top_p": 1,
        "top_k": "40",
        "max_tokens": 64.0,
        "seed": 42,
        "repetition_penalty": None,
    }
    (found,) = read(changed(JUDGMENT, {"responses.0.sampling": given}))
    assert found.sampling[0] == {"temperature": 0.7, "top_p": 1.0, "top_k": 40, "max_tokens": 64, "seed": 42}


@pytest.mark.parametrize("marks", [[("harmful", 1.0)], [{"key": "harmful", "value": 1.0}]])
def test_marks_are_read_in_parquets_spellings_too(marks):
    (found,) = read(changed(JUDGMENT, {"responses.0.marks": marks}))
    assert found.marks[0] == {"harmful": 1.0}


@pytest.mark.parametrize("change", [{"is_current": False}, {"withdrawn": True}, {"surplus": True}])
def test_what_does_not_count_is_passed_over(change):
    assert read(changed(JUDGMENT, change)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"criterion": "harmless"}, "criterion: is harmless, and this import is about helpful"),
        ({"tiers": [["x"], ["y"]]}, "tiers: does not name every response"),
        ({"tiers": [["x", "x"], ["y", "z"]]}, "tiers: does not name every response"),
        ({"tiers": [["x", "w"], ["y", "z"]]}, "tiers: does not name every response"),
        ({"strengths": [1, 1]}, "strengths: has 2 strengths for 1 steps"),
        ({"strengths": [4]}, "strengths: is 4"),
        ({"responses.0.text": True}, "responses.0.text: should be text but is a boolean"),
        ({"responses.1.text": "a"}, "responses: has the same text as responses 1 and 2"),
        ({"responses.0.response_id": None}, "responses.0.response_id: should be text but is null"),
        ({"responses.0.source": "moon"}, "responses.0.source: is moon"),
        ({"responses.0.marks": {"x": ["y"]}}, "responses.0.marks: A mark is"),
        ({"responses.0.marks": [1, 2]}, "responses.0.marks: should be an object"),
        ({"responses.0.marks": {"x": "\ud800"}}, "responses.0.marks: A mark holds half of a surrogate"),
        ({"responses.0.marks": {"x": float("inf")}}, "responses.0.marks: A mark holds a number"),
        *(
            ({"responses.0.sampling": sampling}, f"responses.0.sampling{problem}")
            for sampling, problem in (
                ("hot", ": should be an object but is text"),
                ([], ": should be an object but is a list"),
                ({"temperature": "hot"}, ".temperature: should be a number but is “hot”"),
                ({"temperature": {"a": 1}}, ".temperature: should be a finite number but is an object"),
                ({"temperature": "\ud800"}, ".temperature: should be a number but is “\\ud800”"),
                ({"top_p": float("inf")}, ".top_p: should be a finite number"),
                (
                    {"repetition_penalty": True},
                    ".repetition_penalty: should be a finite number but is a boolean",
                ),
                ({"seed": 1.5}, ".seed: should be a whole number"),
                ({"seed": True}, ".seed: should be a whole number but is a boolean"),
                ({"top_k": "a\0"}, ".top_k: should be a whole number but is “a\\x00”"),
                ({"max_tokens": 2**63}, ".max_tokens: is 9223372036854775808"),
                ({"min_p": 0.1}, ".min_p: is not known; take it out (temperature, top_p"),
                ({"\ud800": 1}, ".\\ud800: is not known"),
            )
        ),
        ({"order_shown": ["x", "y"]}, "order_shown: does not name every response"),
        ({"order_shown": ["x", "y", "w"]}, "order_shown: does not name every response"),
        ({"order_shown": ["x", "x", "y"]}, "order_shown: does not name every response"),
        ({"annotator": ""}, "annotator: is empty"),
        ({"annotator_kind": "robot"}, "annotator_kind: is robot"),
        ({"purpose": "gold"}, "purpose: is gold"),
        ({"withdrawn": "no"}, "withdrawn: should be true or false but is text"),
        ({"seconds": -1}, "seconds: is -1"),
        ({"seconds": 1e6}, "seconds: is 1e+06; it should be between 0 and 86,400"),
        ({"flags": ["x" * 61]}, "flags: Flags are at most"),
        ({"rationale": "x" * 20_001}, "rationale: has 20,001 characters"),
        ({"created_at": "yesterday"}, "created_at: is “yesterday”"),
        ({"created_at": "2026-01-31T09:30:00"}, "created_at: is “2026"),
        (
            {"created_at": "0001-01-01T00:00:00+14:00"},
            "created_at: is “0001-01-01T00:00:00+14:00”; it should",
        ),
        (
            {"created_at": "9999-12-31T23:59:59-12:00"},
            "created_at: is “9999-12-31T23:59:59-12:00”; it should",
        ),
        ({"created_at": "0999-12-31T23:59:59Z"}, "created_at: is “0999-12-31T23:59:59Z”; it should"),
    ],
)
def test_judgments_that_cannot_be_taken_say_why(change, problem):
    with pytest.raises(RowError) as found:
        read(changed(JUDGMENT, change))
    assert str(found.value).startswith(problem)


def test_a_comparison_is_one_judgment_with_its_steps():
    (found,) = read(COMPARISON)
    assert (found.ranks, found.strengths) == ([1, 0, 1], [2])
    assert found.response_ids == ["x", "y", "z"]


def test_a_comparison_without_ranks_stays_pairs():
    found = read(
        changed(COMPARISON, {"ranks": None, "soft_preference": [[None, 1, 0], [0, None, 1], [1, 0, None]]})
    )
    assert [one.responses for one in found] == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert [one.ranks for one in found] == [[0, 1], [1, 0], [0, 1]]
    assert all(one.flags == ["group:g1", "intransitive"] for one in found)
    assert [one.response_ids for one in found] == [["x", "y"], ["x", "z"], ["y", "z"]]


def test_pairs_never_compared_are_not_made_up():
    soft = [[None, 1.0, None], [0.0, None, 0.8], [None, 0.2, None]]
    found = read(changed(COMPARISON, {"ranks": None, "soft_preference": soft}))
    assert [one.responses for one in found] == [["a", "b"], ["b", "c"]]
    assert all(one.flags == ["group:g1"] for one in found)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ranks": None, "soft_preference": None}, "tiers: is missing, and so are"),
        ({"ranks": [0, 1]}, "ranks: has 2 ranks for 3 responses"),
        ({"ranks": None, "soft_preference": [[None] * 3] * 3}, "soft_preference: compares no two"),
        ({"ranks": None, "soft_preference": [[None] * 2] * 3}, "soft_preference: should be a 3 x 3 table"),
        ({"grade": [[None, 9, 1], [1, None, 1], [1, 1, None]]}, "grade: has numbers outside 0 to 3"),
        (
            {"ranks": None, "soft_preference": [[None, 2, 1], [-1, None, 1], [0, 0, None]]},
            "soft_preference: has numbers outside 0 to 1",
        ),
        (
            {"ranks": None, "soft_preference": [[None, 1, 1], [0, None, 1], [0, 0.2, None]]},
            "soft_preference: contradicts itself on responses 2 and 3",
        ),
        (
            {"ranks": None, "soft_preference": [[None, 1, 1], [0, None, None], [0, 0.2, None]]},
            "soft_preference: contradicts itself on responses 2 and 3",
        ),
        ({"response_ids": ["x", "y"]}, "response_ids: should be 3 different ids"),
        ({"response_ids": ["x", "y", "x"]}, "response_ids: should be 3 different ids"),
        ({"response_ids": ["x", "y", True]}, "response_ids.2: should be text"),
    ],
)
def test_comparisons_that_cannot_be_taken_say_why(change, problem):
    with pytest.raises(RowError) as found:
        read(changed(COMPARISON, change))
    assert str(found.value).startswith(problem)
