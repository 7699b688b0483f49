import pytest

from annotation.importing.readers.messages import MESSAGE_FIELDS, MessageParser
from annotation.importing.rows import RowError, TextCell
from tests.annotation.importing.readers.conftest import make_reader, read_one

USER = [{"role": "user", "content": "Why?"}]


def problem(parse, value):
    with pytest.raises(RowError) as found:
        parse(value, "c")
    return str(found.value)


@pytest.mark.parametrize(
    "value",
    [
        "Why?",
        "\n\nHuman: Why?\n\nAssistant:",
        [{"role": "user", "content": "Why?"}],
        [{"from": "human", "value": "Why?"}],
        [{"role": "prompter", "text": "Why?"}],
        [{"role": "User", "content": "Why?", "name": None, "tool_calls": [], "weight": ""}],
        [{"role": "user", "content": [{"type": "text", "text": "Wh"}, {"type": "text", "text": "y?"}]}],
        [{"role": "user", "content": ["Why?"]}],
        [{"role": "user", "content": [{"type": "text", "text": "Why?", "image_url": None}]}],
        {"role": ["user"], "content": ["Why?"]},
        TextCell('[{"role": "user", "content": "Why?"}]'),
    ],
)
def test_all_spellings_of_a_message_mean_the_same(value):
    assert MessageParser().prompt(value, "c") == USER


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("gpt", "assistant"), ("chatgpt", "assistant"), ("bot", "assistant"), ("model", "assistant"),
        ("developer", "system"), ("system", "system"), ("human", "user"), ("prompter", "user"),
        ("function", "tool"), ("observation", "tool"),
    ],
)  # fmt: skip
def test_other_names_of_roles_are_known(name, role):
    turns = MessageParser().conversation([{"from": name, "value": "x"}], "c")
    assert turns == [{"role": role, "content": "x"}]


def test_keys_and_roles_can_be_renamed():
    mapping = {"role": ["speaker"], "content": ["utterance"], "role.user": ["Customer"],
               "role.assistant": ["Desk", "Shop"], "ignored": ["minute"]}  # fmt: skip
    turns = [
        {"speaker": "customer", "utterance": "Tea?", "minute": 3},
        {"speaker": "Shop", "utterance": "Yes."},
    ]
    assert MessageParser.from_mapping(mapping).conversation(turns, "c") == [
        {"role": "user", "content": "Tea?"},
        {"role": "assistant", "content": "Yes."},
    ]
    # A name that is given wins over one that is known.
    other = MessageParser.from_mapping({"role.assistant": ["human"]})
    assert other.conversation([{"role": "human", "content": "x"}], "c")[0]["role"] == "assistant"


def test_a_format_reads_messages_by_the_names_given_to_it():
    row = {"prompt": [{"who": "Kim", "content": "Tea?"}], "chosen": "yes", "rejected": "no"}
    found = read_one("trl", row, **{"role": "who", "role.user": "Kim"})
    assert found.prompt == [{"role": "user", "content": "Tea?"}]
    assert all(make_reader("hh", **{field: "x"}) for field in MESSAGE_FIELDS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("audio", {"id": "a"}),
        ("weight", 0),
        ("toxic", False),
        ("reasoning_content", "hm"),
    ],
)
@pytest.mark.parametrize("where", ["prompt", "chosen", "messages", "demonstration"])
def test_what_cannot_be_kept_with_a_message_is_refused_by_name(key, value, where):
    message = {"role": "assistant", "content": "x", key: value}
    conversation = [*USER, message, *USER]
    rows = {
        "prompt": ("trl", {"prompt": conversation, "chosen": "a", "rejected": "b"}),
        "chosen": ("trl", {"prompt": "Why?", "chosen": [message], "rejected": "b"}),
        "messages": ("prompts", {"messages": conversation}),
        "demonstration": ("demonstrations", {"messages": [*USER, message]}),
    }
    name, row = rows[where]
    with pytest.raises(RowError, match=rf"\.{key}: cannot be kept.*--map ignored={key}"):
        make_reader(name).read(row, 1)
    assert make_reader(name, ignored=key).read(row, 1)


def test_the_fields_of_a_message_are_kept_and_what_cannot_be_kept_is_named():
    turn = {"role": "tool", "content": "42", "name": "x", "tool_call_id": "c1"}
    nothing = {"refusal": None, "annotations": [], "tool_calls": None, "function_call": None}
    assert MessageParser().prompt([turn | nothing], "prompt") == [turn]
    with pytest.raises(RowError, match="prompt.0.audio: cannot be kept"):
        MessageParser().prompt([turn | {"audio": {"id": "a"}}], "prompt")
    with pytest.raises(RowError, match="prompt.0.tool_calls: is on a turn of somebody else"):
        MessageParser().prompt([turn | {"tool_calls": [{"name": "f", "arguments": "{}"}]}], "prompt")
    with pytest.raises(RowError, match="prompt.0.content: should be text but is null"):
        MessageParser().prompt([turn | {"content": None}], "prompt")


CALL = {"id": "c1", "name": "book", "arguments": '{"people": 2}'}


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("tool_calls", [CALL], CALL),
        ("tool_calls", [CALL | {"type": "function", "index": 0}], CALL),
        ("tool_calls", [CALL | {"arguments": {"people": 2}}], CALL),
        ("tool_calls", [{"name": "book"}], {"id": None, "name": "book", "arguments": "{}"}),
        (
            "tool_calls",
            [{"id": "c1", "type": "function", "function": {"name": "book", "arguments": '{"people": 2}'}}],
            CALL,
        ),
        ("function_call", {"name": "book", "arguments": '{"people": 2}'}, CALL | {"id": None}),
    ],
)
def test_every_spelling_of_a_call_is_one_call(field, value, stored):
    turns = [{"role": "assistant", "content": None, field: value}]
    assert MessageParser().response(turns, "chosen") == [
        {"role": "assistant", "content": "", "tool_calls": [stored]}
    ]


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        ("book", "chosen.0.tool_calls: should be a list"),
        (["book"], "chosen.0.tool_calls.0: should be a call"),
        ([CALL | {"type": "custom"}], "chosen.0.tool_calls.0.type: is not function"),
        ([CALL | {"name": " "}], "chosen.0.tool_calls.0.name: is empty"),
        ([CALL | {"name": None}], "chosen.0.tool_calls.0.name: should be text but is null"),
        ([CALL | {"output": "7"}], "chosen.0.tool_calls.0.output: cannot be kept"),
        ([CALL | {"arguments": "\x00"}], "chosen.0.tool_calls.0.arguments: has a NUL character"),
        ([{"function": {"name": "book", "strict": True}}], "chosen.0.tool_calls.0.function.strict: cannot be kept"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_kept_is_refused_by_its_place(calls, problem):
    with pytest.raises(RowError, match=problem):
        MessageParser().response([{"role": "assistant", "content": "", "tool_calls": calls}], "chosen")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            [{"type": "image_url", "image_url": {"url": "x"}}],
            "c.0.content.0.type: is “image_url”: only parts of type",
        ),
        ([{"type": "text", "text": "a"}, {"type": "image"}], "c.0.content.1.type: is “image”"),
        ([{"text": "a"}], "c.0.content.0.type: is null"),
        ([{"type": "text"}], "c.0.content.0.text: should be text but is null"),
        (
            [{"type": "text", "text": "a", "cache_control": {"type": "x"}}],
            "c.0.content.0.cache_control: cannot be kept",
        ),
        ([5], "c.0.content.0: should be a part of type text but is a number"),
        (None, "c.0.content: should be text but is null"),
        ({"a": 1}, "c.0.content: should be text but is an object"),
    ],
)
def test_parts_that_are_no_text_are_refused_by_name(content, said):
    assert problem(MessageParser().conversation, [{"role": "user", "content": content}]).startswith(said)


@pytest.mark.parametrize("value", ["", "   ", [], [{"role": "user", "content": " \n"}]])
def test_an_empty_prompt_is_refused(value):
    assert "is empty" in problem(MessageParser().prompt, value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "c: should end with a user or"),
        ([{"role": "moon", "content": "x"}], "c.0.role: should be one of system, user, assistant, tool but is “moon”"),
        ([{"from": "function_call", "value": "x"}], "c.0: is a call but no JSON object with name and arguments"),
        ([{"content": "x"}], "c.0.role: should be one of system, user, assistant, tool but is null"),
        ([{"role": "user", "content": True}], "c.0.content: should be text but is a boolean"),
        ([{"role": "user"}], "c.0.content: should be text but is null"),
        (["x"], "c.0: should be a message"),
        ({"role": "user", "content": "x"}, "c: should be text or a list of messages but is an object"),
        ({"role": ["user"], "content": ["x", "y"]}, "c: has lists of different lengths"),
    ],
)  # fmt: skip
def test_messages_that_are_no_prompt_name_the_cell(value, said):
    assert problem(MessageParser().prompt, value).startswith(said)


def test_messages_that_python_printed_into_a_cell_are_refused_and_other_text_is_text():
    parser = MessageParser()
    printed = TextCell("[{'role': 'user', 'content': 'Why?'}]")
    assert problem(parser.prompt, printed) == "c: has messages as Python prints them: write them as JSON"
    for text in ("{x} and [y]", "[{not json", "{'a': 1}"):
        assert parser.prompt(TextCell(text), "c") == [{"role": "user", "content": text}]
        assert parser.response(TextCell(text), "c") == text


def test_a_response_is_text_or_turns_of_the_assistant():
    parser = MessageParser()
    turn = {"from": "gpt", "value": " a\n"}
    assert [parser.response(value, "c") for value in (" a\n", [turn], turn)] == [" a\n"] * 3
    several = parser.response([turn, {"from": "tool", "value": "rain"}, turn], "c")
    assert [one["role"] for one in several] == ["assistant", "tool", "assistant"]
    goes_on = parser.response([turn, {"from": "human", "value": "why?"}, turn], "c")
    assert [one["role"] for one in goes_on] == ["assistant", "user", "assistant"]
    assert "should begin and end with an assistant turn" in problem(parser.response, USER)
