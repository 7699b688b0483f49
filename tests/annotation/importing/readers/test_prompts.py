import pytest

from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.prompts import DemonstrationReader, PromptReader
from annotation.importing.rows import RowError

USER = [{"role": "user", "content": "Why?"}]
SAID = [{"role": "assistant", "content": "Because."}]


def read(kind, row, **mapping):
    columns = ColumnMap(kind.fields, {field: [column] for field, column in mapping.items()}, format_name="x")
    return kind(columns).read(row, 1)


@pytest.mark.parametrize(
    ("row", "mapping"),
    [
        ({"messages": USER}, {}),
        ({"prompt": "Why?"}, {}),
        ({"messages": "Why?"}, {}),
        ({"meta": {"q": "Why?"}}, {"prompt": "meta.q"}),
    ],
)
def test_prompts_are_read_from_messages_or_text(row, mapping):
    found = read(PromptReader, row, **mapping)
    assert found == {"messages": USER, "prompt_id": None, "kind": "plain", "tags": [], "author": None}


def test_the_rest_of_a_prompt_row_is_read_and_its_split_is_not():
    row = {
        "messages": USER,
        "prompt_id": 17,
        "kind": "few-shot",
        "tags": ["a"],
        "author": "kim",
        "split": "moon",
    }
    found = read(PromptReader, row)
    assert (found["prompt_id"], found["kind"], found["tags"], found["author"]) == (
        "17",
        "few-shot",
        ["a"],
        "kim",
    )


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, "messages: is missing"),
        ({"prompt": ""}, "prompt: is empty"),
        ({"prompt": True}, "prompt: should be text or a list of messages but is a boolean"),
        ({"prompt": "a\0"}, "prompt: has a NUL"),
        ({"prompt": "x" * 5_000_000}, "prompt: has 5,000,000 characters"),
        ({"prompt": "Why?", "kind": "moon"}, "kind: is moon"),
        ({"prompt": "Why?", "prompt_id": ""}, "prompt_id: is empty"),
        ({"prompt": "Why?", "prompt_id": "x" * 201}, "prompt_id: is longer"),
        ({"prompt": "Why?", "tags": [True]}, "tags: should be text"),
    ],
)
def test_prompts_that_cannot_be_taken_say_why(row, problem):
    with pytest.raises(RowError) as found:
        read(PromptReader, row)
    assert str(found.value).startswith(problem)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Why?", "response": "Because."},
        {"prompt": USER, "response": SAID},
        {"prompt": USER, "completion": "Because."},
        {"messages": USER + SAID},
        {"messages": "\n\nHuman: Why?\n\nAssistant: Because."},
        {"prompt": "\n\nHuman: Why?\n\nAssistant:", "completion": "Because."},
    ],
)
def test_all_spellings_of_a_demonstration_mean_the_same(row):
    found = read(DemonstrationReader, row)
    assert (found["messages"], found["response"]) == (USER, "Because.")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"prompt": "Why?"}, "response: is missing"),
        ({"prompt": "Why?", "response": " "}, "response: is empty"),
        ({"prompt": "Why?", "response": False}, "response: should be text but is a boolean"),
        ({"messages": USER}, "messages: should end with an assistant turn"),
        ({"messages": SAID}, "messages: has no prompt"),
        ({"messages": "plain words"}, "messages: is text but no transcript"),
    ],
)
def test_demonstrations_that_cannot_be_taken_say_why(row, problem):
    with pytest.raises(RowError) as found:
        read(DemonstrationReader, row)
    assert str(found.value).startswith(problem)
