import pytest

from annotation.models import hash_messages


def asking(arguments):
    calls = [{"id": "c1", "name": "book", "arguments": arguments}]
    return [{"role": "assistant", "content": "", "tool_calls": calls}, {"role": "tool", "content": "done"}]


@pytest.mark.parametrize("extra", [{}, {"tool_calls": None, "tool_call_id": None, "name": None}])
def test_the_hash_of_a_conversation_without_calls_is_what_it_always_was(extra):
    """`printf '[{"content": "Why?", "role": "user"}]' | sha256sum`"""
    assert hash_messages([{"role": "user", "content": "Why?"} | extra]) == (
        "03cb456780edff504298883cab6bf81188ece2ef307b98d9e75843e71bcbcd52"
    )


def test_conversations_that_differ_in_a_call_have_different_hashes():
    assert hash_messages(asking('{"a": 1}')) != hash_messages(asking('{"a": 2}'))
