"""Responses that a file gives as whole conversations, with the prompt beside them or only inside them.

Where they part before the last turn, what follows the beginning they share is the response: whole conversations were
compared, and the user's turns are a part of each.
"""

from collections.abc import Sequence
from typing import Any

from annotation.content.transcripts import ASSISTANT_MARKER, from_transcript, tidy_transcript
from annotation.importing.readers.messages import (
    Message,
    MessageParser,
    check_prompt,
    looks_like_messages,
    parse_answer,
)
from annotation.importing.rows import RowError
from learning.interface.messages import Answer
from learning.interface.vocabulary import LAST_ROLES


def split_shared_prompt(
    conversations: Sequence[list[Message]], names: Sequence[str]
) -> tuple[list[Message], list[Answer]]:
    """(prompt, responses) of conversations that differ in what follows the prompt they share.

    The prompt is the longest beginning they share that ends with a user or tool turn and leaves each an answer.
    """
    for turns, name in zip(conversations, names, strict=True):
        if turns[-1]["role"] != "assistant":
            raise RowError(name, f"should end with an assistant turn but ends with {turns[-1]['role']}")
        if len(turns) == 1:
            raise RowError(name, "has no prompt before the response, and there is no column prompt")
    first = conversations[0]
    end = min(map(len, conversations)) - 1
    for turns in conversations[1:]:
        end = next((index for index in range(end) if turns[index] != first[index]), end)
    while end and first[end - 1]["role"] not in LAST_ROLES:
        end -= 1
    if not end:
        raise RowError(names[1], f"shares no prompt with {names[0]} up to its last turn")
    return check_prompt(first[:end], names[0]), [
        parse_answer(turns[end:], name) for turns, name in zip(conversations, names, strict=True)
    ]


def read_responses(
    parser: MessageParser,
    prompt: list[Message],
    prompt_column: str,
    values: Sequence[Any],
    names: Sequence[str],
) -> tuple[list[Message], list[Answer]]:
    """(prompt, responses) of a row with a prompt. A response may be text, assistant turns, or the whole conversation
    again: then what comes before its answer must agree with the prompt.

    A prompt that is one turn agrees with a conversation that begins with it (after a system turn, perhaps) or
    asks it last; the longer of the two is the prompt. Conversations that begin with it and part before their last
    question were compared whole.
    """
    whole: list[tuple[list[Message], str]] = []
    conversations: list[list[Message]] = []
    responses: list[Answer] = []
    for value, name in zip(values, names, strict=True):
        turns = parser.conversation(value, name) if looks_like_messages(value) else None
        if isinstance(value, str) and (transcript := _transcript_after(prompt, value)) is not None:
            turns = transcript
        if turns is None or turns[0]["role"] == "assistant":
            is_read = turns is not None and not isinstance(value, str)
            responses.append(parse_answer(turns, name) if is_read and turns else parser.response(value, name))
            continue
        before, answer = _split_after_prompt(prompt, prompt_column, turns, name)
        whole.append((before, name))
        conversations.append(turns)
        responses.append(parse_answer(answer, name))
    for before, name in whole[1:]:
        if before != whole[0][0]:
            if len(whole) == len(values) and _all_begin_with(prompt, conversations):
                return split_shared_prompt(conversations, names)
            raise RowError(name, f"has another prompt than {whole[0][1]} before its answer")
    if whole and len(whole) < len(values) and whole[0][0] != prompt:
        raise RowError(whole[0][1], f"has more before its answer than {prompt_column}")
    return (whole[0][0] if whole else prompt), responses


def _transcript_after(prompt: list[Message], text: str) -> list[Message] | None:
    """The turns of a text that is a whole transcript and begins as the prompt does; None for any other text."""
    turns = from_transcript(tidy_transcript(text).rstrip() + ASSISTANT_MARKER)
    whole = turns is not None and turns[-1]["role"] == "assistant" and len(turns) > 1
    return turns if turns and whole and _same(turns[:1], prompt[:1]) else None


def _split_after_prompt(
    prompt: list[Message], prompt_column: str, turns: list[Message], name: str
) -> tuple[list[Message], list[Message]]:
    """(what comes before the answer, the answer) of a conversation that agrees with the prompt."""
    if turns[-1]["role"] != "assistant":
        raise RowError(name, f"should end with an assistant turn but ends with {turns[-1]['role']}")
    if _same(turns[: len(prompt)], prompt):
        end = len(prompt)
        if any(turn["role"] == "user" for turn in turns[end:]) and len(prompt) == 1:
            end = _last_asked(turns)
    else:
        end = _last_asked(turns)
        asked = [turn for turn in turns[:end] if turn["role"] == "user"]
        without_system = [turn for turn in turns[:end] if turn["role"] != "system"]
        agrees = _same(without_system, prompt) or (
            len(prompt) == 1 and asked and (_same(asked[:1], prompt) or _same(asked[-1:], prompt))
        )
        if not agrees:
            raise RowError(name, f"does not agree with {prompt_column} before its answer")
    return check_prompt(turns[:end], name), turns[end:]


def _all_begin_with(prompt: list[Message], conversations: Sequence[list[Message]]) -> bool:
    """And alike before it: with the same system turn, or none."""
    first = conversations[0]
    start = next((place for place, turn in enumerate(first) if turn["role"] != "system"), 0)
    end = start + len(prompt)
    return _same(first[start:end], prompt) and all(turns[:end] == first[:end] for turns in conversations)


def _last_asked(turns: Sequence[Message]) -> int:
    """The end of what comes before the answer: after the last user turn (the last tool turn where nobody asks)."""
    ends = [index + 1 for index, turn in enumerate(turns[:-1]) if turn["role"] == "user"]
    return ends[-1] if ends else len(turns) - 1


def _same(turns: Sequence[Message], others: Sequence[Message]) -> bool:
    """Equal but for white space around the texts."""
    return len(turns) == len(others) and all(
        a | {"content": a["content"].strip()} == b | {"content": b["content"].strip()}
        for a, b in zip(turns, others, strict=True)
    )
