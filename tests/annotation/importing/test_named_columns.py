"""What --map names wins over columns that have a field's own name, and what a row's reading has no use for is kept."""

import pytest

from annotation.importing.actions import import_comparisons
from annotation.importing.contents.actions import import_demonstrations, import_prompts, import_texts
from annotation.importing.report import ImportRefused
from annotation.importing.tasks.actions import import_tasks
from annotation.models import Demonstration, Judgment, Prompt, Text
from learning.interface.messages import answer_text

pytestmark = [pytest.mark.db, pytest.mark.django_db]
ASKED = {"prompt": "Q?", "responses": ["a", "b"]}


@pytest.fixture
def stored(project, max_, write_rows):
    """Imports comparisons; (texts from best to worst, tied ones together; strengths; metadata) of each; the notes."""

    def bring(rows, format="ranked", **options):
        _, report = import_comparisons(
            actor=max_, project=project, path=write_rows(rows, "rows.jsonl"), format=format, **options
        )
        found = []
        for judgment in Judgment.objects.order_by("pk"):
            texts = {
                shown.response_id: answer_text(shown.response.answer)
                for shown in judgment.task.task_responses.all()
            }
            tiers = [[texts[response] for response in tier] for tier in judgment.tiers]
            found.append((tiers, judgment.strengths, judgment.metadata))
        return found, report.notes

    return bring


@pytest.mark.parametrize(
    ("row", "mapping", "tiers", "strengths", "metadata"),
    [
        ({"ranks": [0, 1], "my": [1, 9]}, {"scores": ["my"]}, [["b"], ["a"]], [None], {"ranks": [0, 1]}),
        (
            {"preference": "a-is-better", "rk": [1, 0]}, {"ranks": ["rk"]}, [["b"], ["a"]], [None],
            {"preference": "a-is-better"},
        ),
        ({"scores": [2, 1], "who": "b"}, {"preference": ["who"]}, None, None, None),
    ],
)  # fmt: skip
def test_the_order_is_that_of_the_column_that_was_named(stored, row, mapping, tiers, strengths, metadata):
    if tiers is None:  # "b" has no meaning: the scores do not stand in for it
        with pytest.raises(ImportRefused, match="column who: is “b”, a preference without a known meaning"):
            stored([ASKED | row], mapping=mapping)
        return
    [judgment], _ = stored([ASKED | row], mapping=mapping)
    assert judgment == (tiers, strengths, metadata)


def test_two_named_columns_that_say_the_same_are_refused_where_a_row_has_both(stored):
    mapping = {"scores": ["s"], "ranks": ["r"]}
    found, _ = stored(
        [ASKED | {"s": [1, 2], "r": None}, ASKED | {"prompt": "P?", "s": None, "r": [0, 1]}], mapping=mapping
    )
    assert [tiers for tiers, _, _ in found] == [[["b"], ["a"]], [["a"], ["b"]]]
    with pytest.raises(
        ImportRefused, match="column r: and s are both named and both have something in this row"
    ):
        stored([ASKED | {"s": [1, 2], "r": [0, 1]}], mapping=mapping)


def test_the_prompt_is_the_instruction_that_was_named(stored):
    row = {"prompt": "tmpl", "question": "Q5?", "chosen": "a", "rejected": "b"}
    [judgment], _ = stored([row], format="trl", mapping={"instruction": ["question"]})
    assert Prompt.objects.get().messages == [{"role": "user", "content": "Q5?"}]
    assert judgment == ([["a"], ["b"]], [None], {"prompt": "tmpl"})


@pytest.mark.parametrize(
    ("row", "mapping", "prompt", "metadata"),
    [
        (
            {"prompt": "short title", "conv": [{"role": "user", "content": "Hello?"}]}, {"messages": ["conv"]},
            "Hello?", {"prompt": "short title"},
        ),
        (
            {"prompt": "template {x}", "question": "Which?", "context": "Of two."},
            {"instruction": ["question"], "input": ["context"]},
            "Which?\n\nOf two.", {"prompt": "template {x}"},
        ),
        ({"prompt": "Q?", "instruction": "I", "input": "i"}, {}, "Q?", {"instruction": "I", "input": "i"}),
    ],
)  # fmt: skip
def test_prompts_are_those_of_the_columns_that_were_named(
    project, max_, write_rows, row, mapping, prompt, metadata
):
    import_prompts(actor=max_, project=project, path=write_rows([row], "p.jsonl"), mapping=mapping)
    [stored] = Prompt.objects.all()
    assert stored.messages[-1]["content"] == prompt
    assert stored.metadata == metadata


@pytest.mark.parametrize("field", ["response", "completion", "output"])
def test_a_demonstration_is_the_response_that_was_named(project, max_, write_rows, field):
    row = {"prompt": "Q?", "completion": "WRONG", "output": "WRONG", "human": "RIGHT"}
    row = {name: value for name, value in row.items() if name != field}
    import_demonstrations(
        actor=max_, project=project, path=write_rows([row], "d.jsonl"), mapping={field: ["human"]}
    )
    [stored] = Demonstration.objects.all()
    assert stored.response_text == "RIGHT"
    assert stored.metadata == {name: "WRONG" for name in ("completion", "output") if name != field}


def test_columns_that_a_row_has_no_use_for_are_kept_and_a_system_prompt_is_said(stored):
    row = {
        "prompt": "Q?", "system": "You are a pirate", "instruction": "the instr", "input": "the ctx",
        "chosen": "a", "rejected": "b", "soft_label": 0.8, "note": "n",
    }  # fmt: skip
    [(_, _, metadata)], notes = stored([row], format="trl")
    assert metadata == {name: row[name] for name in ("system", "instruction", "input", "soft_label", "note")}
    assert notes == [
        "1 row has a column system, which is kept and not part of the prompt; --map system=system makes it the "
        "prompt's first turn."
    ]


def test_of_several_forms_of_one_order_the_others_are_kept(stored):
    row = ASKED | {"preference": "a-is-better", "ranks": [0, 1], "scores": [3, 1], "strengths": [1]}
    [judgment], _ = stored([row])
    assert judgment == ([["a"], ["b"]], [2], {"ranks": [0, 1], "scores": [3, 1], "strengths": [1]})


def test_an_overall_preference_and_what_else_individual_ones_say_are_kept(stored):
    one = {
        "score": -2,
        "reasoning": "r",
        "feedback1": "",
        "feedback2": "",
        "annotator": "zed",
        "confidence": 5,
    }
    row = {
        "context": [{"role": "user", "content": "Q?"}], "response1": "a", "response2": "b", "overall_preference": -1,
        "individual_preference": [one],
    }  # fmt: skip
    [judgment], _ = stored([row], format="helpsteer3")
    assert judgment == ([["a"], ["b"]], [2], {"overall_preference": -1, "individual_preference": [one]})
    assert Judgment.objects.get().annotator.pseudonym == "zed"


def test_labels_one_and_two_are_said_to_be_read_as_a_scale(stored):
    rows = [ASKED | {"prompt": f"Q{n}?", "preference": label} for n, label in enumerate([1, 2, 1])]
    _, notes = stored(rows)
    assert notes == [
        "Every preference is one of the numbers 1, 2, read on the scale -3..3: the second response is better by so "
        "much. If they mean something else, take the import back and name them, as in --strength 1=a --strength 2=b."
    ]


def test_labels_with_a_zero_or_a_negative_number_are_a_scale_and_nothing_is_said(stored):
    rows = [ASKED | {"prompt": f"Q{n}?", "preference": label} for n, label in enumerate([-1, 2, 0])]
    found, notes = stored(rows)
    assert ([tiers for tiers, _, _ in found], notes) == ([[["a"], ["b"]], [["b"], ["a"]], [["a", "b"]]], [])


def test_a_half_can_be_named(stored):
    names = {"1": "a", "0": "b", "0.5": "tie"}
    rows = [ASKED | {"prompt": f"Q{n}?", "preference": label} for n, label in enumerate([1, 0, 0.5, "0.5"])]
    found, notes = stored(rows, named_strengths=names)
    assert [tiers for tiers, _, _ in found] == [[["a"], ["b"]], [["b"], ["a"]], [["a", "b"]], [["a", "b"]]]
    assert notes == []
    with pytest.raises(ImportRefused, match="is 0.25, and other numbers were given a meaning"):
        stored([ASKED | {"preference": 0.25}], named_strengths=names)


def test_a_row_without_a_comparison_names_all_that_would_do(stored):
    with pytest.raises(
        ImportRefused, match="and so are scores, preference and pair_labels .the row has: prompt,"
    ):
        stored([ASKED])


SYSTEM = {"role": "system", "content": "Be brief."}
ASKS = {"role": "user", "content": "Q?"}


def answers(text):
    return [ASKS, {"role": "assistant", "content": text}]


@pytest.mark.parametrize("field", ["messages", "conversations"])
def test_a_named_system_column_begins_the_prompt_of_a_dialogue(project, max_, write_rows, field):
    row = {"sys": "Be brief.", field: answers("A.")}
    path = write_rows([row], "d.jsonl")
    import_demonstrations(actor=max_, project=project, path=path, mapping={"system": ["sys"]})
    assert Prompt.objects.get().messages == [SYSTEM, ASKS]
    assert Demonstration.objects.get().metadata is None


def test_a_named_system_column_begins_the_prompt_that_whole_conversations_share(stored):
    row = {"sys": "Be brief.", "chosen": answers("a"), "rejected": answers("b")}
    stored([row], format="trl", mapping={"system": ["sys"]})
    assert Prompt.objects.get().messages == [SYSTEM, ASKS]


def test_a_named_system_column_begins_the_prompt_of_a_task(project, max_, write_rows):
    path = write_rows([{"sys": "Be brief.", "responses": [answers("a"), answers("b")]}], "t.jsonl")
    import_tasks(actor=max_, project=project, path=path, mapping={"system": ["sys"]})
    assert Prompt.objects.get().messages == [SYSTEM, ASKS]


def test_a_response_that_was_named_wins_over_turns(project, max_, write_rows):
    turns = [{"role": "assistant", "content": "WRONG"}]
    path = write_rows([{"prompt": "Q?", "human": "RIGHT", "turns": turns}], "d.jsonl")
    import_demonstrations(actor=max_, project=project, path=path, mapping={"response": ["human"]})
    [stored] = Demonstration.objects.all()
    assert (stored.response_text, stored.turns, stored.metadata) == ("RIGHT", None, {"turns": turns})


def test_a_licence_that_was_named_wins_over_the_other_spelling(project, max_, write_rows):
    path = write_rows([{"text": "T.", "licence": "MIT", "lic": "CC0"}], "t.jsonl")
    import_texts(actor=max_, project=project, path=path, mapping={"license": ["lic"]})
    assert Text.objects.values_list("licence", "metadata").get() == ("CC0", {"licence": "MIT"})


def helpsteer3(**fields):
    individual = [{"score": -2, "reasoning": "r", "feedback1": "", "feedback2": ""}]
    return {
        "context": [ASKS],
        "response1": "a",
        "response2": "b",
        "individual_preference": individual,
    } | fields


def test_an_overall_preference_that_was_named_wins_over_individual_ones(stored):
    row = helpsteer3(o=2)
    [judgment], _ = stored([row], format="helpsteer3", mapping={"overall_preference": ["o"]})
    assert judgment == ([["b"], ["a"]], [2], {"individual_preference": row["individual_preference"]})


def test_a_named_margin_wins_over_a_strength_where_margins_are_used(stored):
    row = {"prompt": "Q?", "chosen": "a", "rejected": "b", "strength": 1, "m": 3.0}
    [judgment], _ = stored([row], format="trl", mapping={"margin": ["m"]}, margins="large")
    assert judgment == ([["a"], ["b"]], [3], {"strength": 1, "m": 3.0})


@pytest.mark.parametrize(
    ("row", "format", "mapping", "named"),
    [
        (helpsteer3(who="zed"), "helpsteer3", {"annotator": ["who"]}, "column who: is named as annotator"),
        (
            {"prompt": "Q?", "ctx": "C", "chosen": "a", "rejected": "b"}, "trl", {"input": ["ctx"]},
            "column ctx: is named as input",
        ),
        (
            ASKED | {"preference": "a-is-better", "st": [1]}, "ranked", {"strengths": ["st"]},
            "column st: is named as strengths",
        ),
    ],
)  # fmt: skip
def test_a_named_column_that_the_row_has_no_use_for_is_refused_by_name(stored, row, format, mapping, named):
    with pytest.raises(ImportRefused, match=f"{named}, and nothing of this row is read with"):
        stored([row], format=format, mapping=mapping)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"preference": "a-is-better", "ranks": [1, 0]}, "column ranks: is another order than preference"),
        ({"ranks": [1, 0], "scores": [2, 1]}, "column scores: is another order than ranks"),
        ({"ranks": [0, 0], "scores": [2, 1]}, "column scores: is another order than ranks"),
    ],
)
def test_two_orders_that_contradict_each_other_are_refused_until_one_is_named(stored, row, named):
    with pytest.raises(ImportRefused, match=named):
        stored([ASKED | row])
    [field] = [name for name in ("scores", "ranks") if name in row][:1]
    [judgment], _ = stored([ASKED | row], mapping={field: [field]})
    assert judgment[0] == ([["b"], ["a"]] if field == "ranks" else [["a"], ["b"]])
