from learning.interface.messages import answer_key, answer_text, to_answer


def asking(arguments, call_id="c1", content=""):
    return [
        {
            "role": "assistant",
            "content": content,
            "tool_calls": [{"id": call_id, "name": "book", "arguments": arguments}],
        }
    ]


def test_a_single_plain_turn_is_its_text_and_nothing_else_is():
    assert to_answer([{"role": "assistant", "content": "Hi", "tool_calls": None, "name": None}]) == "Hi"
    for turns in (
        asking("{}"),
        [{"role": "assistant", "content": "Hi", "name": "bot"}],
        [{"role": "assistant", "content": "Hi"}, {"role": "assistant", "content": "there"}],
    ):
        assert to_answer(turns) == turns


def test_different_calls_are_never_equal_and_the_ids_of_calls_do_not_count():
    different = [
        asking('{"people": 2}'), asking('{"people": 7}'), asking('{"people": 2}', content="One moment."),
        answer_text(asking('{"people": 2}')), "",
    ]  # fmt: skip
    assert len({answer_key(answer) for answer in different}) == len(different)
    assert answer_key(asking("{}", "c1")) == answer_key(asking("{}", None))
    assert answer_key("Hi") == "Hi"
