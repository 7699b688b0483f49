"""Responses given as whole conversations: what is the prompt, and what is refused."""

import pytest

from annotation.importing.rows import RowError
from tests.annotation.importing.readers.conftest import make_reader, problem_with, read_one


def talk(*texts, first="user"):
    """Turns of user and assistant in turn; a pair is another role with its text."""
    roles = ["user", "assistant"] if first == "user" else ["assistant", "user"]
    turns = []
    for text in texts:
        role, content = text if isinstance(text, tuple) else (roles[0], text)
        if not isinstance(text, tuple):
            roles.reverse()
        turns.append({"role": role, "content": content})
    return turns


SYSTEM = ("system", "Be short.")
TOOL = ("tool", "rain")


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "expected"),
    [
        ("Cheese?", talk("Cheese?", "Brie"), talk("Cheese?", "Milk"), talk("Cheese?")),
        ("Cheese? ", talk("Cheese?", "Brie"), talk("Cheese?", "Milk"), talk("Cheese?")),
        (talk("Cheese?"), talk("Cheese?", "Brie"), "Milk", talk("Cheese?")),
        (talk("Cheese?"), "Brie", talk("Milk", first="assistant"), talk("Cheese?")),
        # A system turn in the conversations only: they are all asked under it.
        ("Cheese?", talk(SYSTEM, "Cheese?", "Brie"), talk(SYSTEM, "Cheese?", "Milk"), talk(SYSTEM, "Cheese?")),
        # The prompt column has the first question, or the last.
        ("Hi", talk("Hi", "Hello", "Cheese?", "Brie"), talk("Hi", "Hello", "Cheese?", "Milk"),
         talk("Hi", "Hello", "Cheese?")),
        ("Cheese?", talk("Hi", "Hello", "Cheese?", "Brie"), talk("Hi", "Hello", "Cheese?", "Milk"),
         talk("Hi", "Hello", "Cheese?")),
        (talk("Hi", "Hello", "Cheese?"), talk("Hi", "Hello", "Cheese?", "Brie"), "Milk",
         talk("Hi", "Hello", "Cheese?")),
        # No prompt column: what they share.
        (None, talk("Cheese?", "Brie"), talk("Cheese?", "Milk"), talk("Cheese?")),
        (None, talk("Weather?", ("assistant", "Looking"), TOOL, ("assistant", "Brie")),
         talk("Weather?", ("assistant", "Looking"), TOOL, ("assistant", "Milk")),
         talk("Weather?", ("assistant", "Looking"), TOOL)),
    ],
)  # fmt: skip
def test_the_prompt_of_whole_conversations_is_what_comes_before_their_answers(
    prompt, chosen, rejected, expected
):
    found = read_one("trl", {"prompt": prompt, "chosen": chosen, "rejected": rejected})
    assert (found.prompt, found.responses) == (expected, ["Brie", "Milk"])
    if prompt is not None:
        row = {"prompt": prompt, "responses": [chosen, rejected], "ranks": [0, 1]}
        ranked = read_one("ranked", row)
        assert (ranked.prompt, ranked.responses) == (expected, ["Brie", "Milk"])


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "said"),
    [
        ("Wine?", talk("Cheese?", "Brie"), talk("Cheese?", "Milk"), "chosen: does not agree with prompt"),
        ("Cheese?", talk("Cheese?", "Brie"), talk("Wine?", "Milk"), "rejected: does not agree with prompt"),
        ("Cheese?", talk("Hi", "A", "Cheese?", "Brie"), talk("Hi", "B", "Cheese?", "Milk"),
         "rejected: has another prompt"),
        ("Hi", talk(SYSTEM, "Hi", "A", "Cheese?", "Brie"), talk("Hi", "B", "Cheese?", "Milk"),
         "rejected: has another prompt"),
        ("Cheese?", talk(SYSTEM, "Cheese?", "Brie"), "Milk", "chosen: has more before its answer than prompt"),
        ("Cheese?", talk("Cheese?"), talk("Cheese?", "Milk"), "chosen: should end with an assistant turn"),
        (None, talk("Cheese?", "A", SYSTEM, ("assistant", "Brie")), talk("Cheese?", "B"),
         "chosen: should be assistant turns"),
        (None, talk("Cheese?", "Brie"), talk("Wine?", "Milk"), "rejected: shares no prompt with chosen"),
    ],
)  # fmt: skip
def test_conversations_that_do_not_fit_say_where(prompt, chosen, rejected, said):
    assert problem_with("trl", {"prompt": prompt, "chosen": chosen, "rejected": rejected}).startswith(said)


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "asked", "answers"),
    [
        # The user's turns differ, too, after the answers parted.
        (None, talk("Hi", "A", "Cheese?", "Brie"), talk("Hi", "B", "Why?", "Milk"), talk("Hi"),
         [talk("A", "Cheese?", "Brie", first="assistant"), talk("B", "Why?", "Milk", first="assistant")]),
        ("Hi", talk("Hi", "A", "Cheese?", "Brie"), talk("Hi", "B", "Cheese?", "Milk"), talk("Hi"),
         [talk("A", "Cheese?", "Brie", first="assistant"), talk("B", "Cheese?", "Milk", first="assistant")]),
        ("Hi", talk(SYSTEM, "Hi", "A", "Cheese?", "Brie"), talk(SYSTEM, "Hi", "B", "Cheese?", "Milk"),
         talk(SYSTEM, "Hi"),
         [talk("A", "Cheese?", "Brie", first="assistant"), talk("B", "Cheese?", "Milk", first="assistant")]),
        # They share more than the prompt beside them.
        ("Hi", talk("Hi", "Yes?", "Cheese?", "A", "And?", "Brie"), talk("Hi", "Yes?", "Cheese?", "B"),
         talk("Hi", "Yes?", "Cheese?"),
         [talk("A", "And?", "Brie", first="assistant"), "B"]),
        (talk("Hi", "Yes?", "Cheese?"), talk("Hi", "Yes?", "Cheese?", "Brie", "And?", "No"), "Milk",
         talk("Hi", "Yes?", "Cheese?"),
         [talk("Brie", "And?", "No", first="assistant"), "Milk"]),
        (talk("Hi"), talk("A", "Cheese?", "Brie", first="assistant"), "B", talk("Hi"),
         [talk("A", "Cheese?", "Brie", first="assistant"), "B"]),
    ],
)  # fmt: skip
def test_conversations_that_part_before_their_last_turn_are_compared_whole(
    prompt, chosen, rejected, asked, answers
):
    row = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    found = read_one("trl", row)
    assert (found.prompt, found.responses) == (asked, answers)
    if prompt is not None:
        ranked = read_one("ranked", {"prompt": prompt, "responses": [chosen, rejected], "ranks": [0, 1]})
        assert (ranked.prompt, ranked.responses) == (asked, answers)


RAIN = [("assistant", "Looking"), TOOL, ("assistant", "Rain")]


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected"),
    [
        (talk("Weather?"), talk(*RAIN), "Sun"),
        ("Weather?", talk("Weather?", *RAIN), "Sun"),
        ("Weather?", talk("Weather?", *RAIN), talk("Weather?", "Sun")),
        (None, talk("Weather?", *RAIN), talk("Weather?", "Sun")),
    ],
)
def test_several_messages_up_to_the_next_user_turn_are_one_answer(prompt, chosen, rejected):
    found = read_one("trl", {"prompt": prompt, "chosen": chosen, "rejected": rejected})
    assert (found.prompt, found.responses) == (talk("Weather?"), [talk(*RAIN), "Sun"])


def test_conversations_agree_only_if_their_calls_do():
    prompt = [
        *talk("Book"),
        {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": "1"}]},
        *talk(TOOL),
    ]
    other = [
        *talk("Book"),
        {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": "2"}]},
        *talk(TOOL),
    ]
    row = {"prompt": prompt, "chosen": [*prompt, *talk("A", first="assistant")], "rejected": "B"}
    assert read_one("trl", row).responses == ["A", "B"]
    row["chosen"] = [*other, *talk("A", first="assistant")]
    assert problem_with("trl", row).startswith("chosen: does not agree with prompt")


START = "\n\nHuman: Cheese?\n\nAssistant:"


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "responses"),
    [
        (START, f"{START} Brie", f"{START} Milk", ["Brie", "Milk"]),
        ("Cheese?", f"{START} Brie", f"{START} Milk".strip(), ["Brie", "Milk"]),
        # Texts that only look like one are answers.
        ("Wine?", "Human: Cheese?\n\nAssistant: x", "No", ["Human: Cheese?\n\nAssistant: x", "No"]),
        ("Cheese?", "Human: Cheese?", "No", ["Human: Cheese?", "No"]),
    ],
)
def test_whole_transcripts_beside_their_prompt_are_read_as_their_answers(prompt, chosen, rejected, responses):
    assert read_one("trl", {"prompt": prompt, "chosen": chosen, "rejected": rejected}).responses == responses


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Cheese?", "messages": talk("Cheese?", "Brie")},
        {"prompt": "Cheese?", "response": talk("Cheese?", "Brie")},
        {"conversations": [{"from": "human", "value": "Cheese?"}, {"from": "gpt", "value": "Brie"}]},
        {"instruction": "Cheese?", "input": "", "output": "Brie"},
    ],
)
def test_a_demonstration_may_be_a_whole_conversation_beside_its_prompt(row):
    found = make_reader("demonstrations").read(row, 1)
    assert (found["messages"], found["response"]) == (talk("Cheese?"), "Brie")


def test_a_demonstration_whose_conversation_has_another_prompt_is_refused():
    with pytest.raises(RowError, match="messages: does not agree with prompt"):
        make_reader("demonstrations").read({"prompt": "Wine?", "messages": talk("Cheese?", "Brie")}, 1)


@pytest.mark.parametrize(
    ("row", "mapping", "prompt"),
    [
        ({"instruction": "Shorten.", "input": "A long text."}, {}, talk("Shorten.\n\nA long text.")),
        ({"instruction": "Shorten.", "input": None}, {}, talk("Shorten.")),
        ({"instruction": "Shorten."}, {}, talk("Shorten.")),
        ({"instruction": " ", "input": "Shorten this."}, {}, talk("Shorten this.")),
        ({"instruction": "Shorten.", "prompt": "Say."}, {}, talk("Say.")),
        ({"q": "Shorten.", "x": "It."}, {"instruction": "q", "input": "x"}, talk("Shorten.\n\nIt.")),
        ({"prompt": "Say.", "s": "Be short."}, {"system": "s"}, talk(SYSTEM, "Say.")),
        ({"prompt": "Say.", "s": " "}, {"system": "s"}, talk("Say.")),
        # Other files have other things in a column of this name.
        ({"prompt": "Say.", "system": "gpt-9"}, {}, talk("Say.")),
    ],
)
def test_instruction_and_input_are_a_prompt(row, mapping, prompt):
    assert make_reader("prompts", **mapping).read(row, 1)["messages"] == prompt
    assert read_one("trl", row | {"chosen": "a", "rejected": "b"}, **mapping).prompt == prompt
    assert read_one("ranked", row | {"responses": ["a", "b"], "ranks": [0, 1]}, **mapping).prompt == prompt


def test_an_instruction_and_an_input_without_a_word_are_refused():
    row = {"instruction": "", "input": " ", "chosen": "a", "rejected": "b"}
    assert problem_with("trl", row) == "instruction: is empty"


def test_two_system_turns_are_refused():
    row = {"prompt": talk(SYSTEM, "Say."), "s": "Be long.", "chosen": "a", "rejected": "b"}
    assert problem_with("trl", row, system="s").startswith("s: is a second system turn")
