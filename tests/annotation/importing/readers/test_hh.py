import pytest

from tests.annotation.importing.readers.conftest import problem_with, read_one

START = "\n\nHuman: A?\n\nAssistant:"


def test_hh_rows_become_prompt_and_two_answers():
    row = {
        "chosen": "\n\nHuman: A?\n\nAssistant: b.\n\nHuman: C?\n\nAssistant: good",
        "rejected": "\n\nHuman: A?\n\nAssistant: b.\n\nHuman: C?\n\nAssistant: bad",
    }
    found = read_one("hh", row)
    assert [turn["content"] for turn in found.prompt] == ["A?", "b.", "C?"]
    assert (found.responses, found.ranks, found.strengths) == (["good", "bad"], [0, 1], [None])


def test_hh_dialogues_that_part_early_are_compared_to_their_ends():
    row = {
        "chosen": START + " b.\n\nHuman: C?\n\nAssistant: good\n\nHuman: D?\n\nAssistant:   fine\n",
        "rejected": START + "\n\nHuman: E?\n\nAssistant: bad",
    }
    found = read_one("hh", row)
    assert found.prompt == [{"role": "user", "content": "A?"}]
    roles = ["assistant", "user", "assistant", "user", "assistant"]
    texts = ["b.", "C?", "good", "D?", "  fine"]
    assert found.responses == [
        [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)],
        [{"role": role, "content": text} for role, text in zip(roles, ["", "E?", "bad"], strict=False)],
    ]


@pytest.mark.parametrize(
    ("chosen", "rejected", "problem"),
    [
        (START + " x", START + " x", "rejected: is the same text as chosen"),
        (START + " x", START + " x ", "rejected: is the same text as chosen"),
        (START + " x", "\n\nHuman: B?\n\nAssistant: y", "rejected: shares no prompt with chosen"),
        ("x", "y", "rejected: shares no prompt with chosen"),
        (True, START + " y", "chosen: should be text but is a boolean (true)"),
        ("", START + " y", "chosen: is empty"),
        (
            START + " x\n\nHuman: more",
            START + " y",
            "chosen: goes on with another human turn that nobody answers",
        ),
        ("\n\nHuman:  \n\nAssistant: x", "\n\nHuman:  \n\nAssistant: y", "chosen: is empty"),
        (START + " \ud800", START + " y", "chosen: has half of a surrogate pair"),
    ],
)
def test_hh_rows_that_cannot_be_taken_say_why(chosen, rejected, problem):
    assert problem_with("hh", {"chosen": chosen, "rejected": rejected}).startswith(problem)


def test_an_empty_answer_is_an_answer():
    assert read_one("hh", {"chosen": START + " x", "rejected": START}).responses == ["x", ""]


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt", "responses"),
    [
        # Stripped, with CR LF, indented.
        ("Human: A?\n\nAssistant: x", "Human: A?\n\nAssistant: y", "A?", ["x", "y"]),
        ("Human: A?\n\nAssistant: x", START + " y", "A?", ["x", "y"]),
        ("\r\n\r\nHuman: A?\r\n\r\nAssistant: x\r\nz", START + " y", "A?", ["x\nz", "y"]),
        (START + "     go()\n", START + " go()", "A?", ["    go()", "go()"]),
        (START + "\n    if x:\n        go()\n", START + " no", "A?", ["    if x:\n        go()", "no"]),
        (
            "\n\nHuman:\n    go()\n\nAssistant: x",
            "\n\nHuman:\n    go()\n\nAssistant: y",
            "    go()",
            ["x", "y"],
        ),
    ],
)
def test_white_space_of_the_transcript_is_no_part_of_the_turns_and_indentation_is(
    chosen, rejected, prompt, responses
):
    found = read_one("hh", {"chosen": chosen, "rejected": rejected})
    assert (found.prompt, found.responses) == ([{"role": "user", "content": prompt}], responses)
