"""The reader of dialogues of which one turn of the model is taken, to be compared with alternatives."""

import random
from collections.abc import Mapping
from itertools import groupby
from typing import Any, ClassVar

from django.utils.translation import gettext_noop

from annotation.content.transcripts import ASSISTANT_MARKER, from_transcript, tidy_transcript
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import parse_id, parse_name, parse_nonempty_text
from annotation.importing.readers.messages import Message, MessageParser, check_prompt
from annotation.importing.readers.prompts import DIALOGUE_FIELDS
from annotation.importing.rows import RowError
from annotation.models import hash_messages
from learning.interface.messages import to_answer
from learning.interface.vocabulary import LAST_ROLES


class DialogueTurnReader:
    """`messages` (or `conversations`): a dialogue, as messages or a transcript; and optional `source`, who wrote its
    assistant's turns.

    A turn is drawn evenly from those that answer somebody and say something, by the seed and the dialogue: the same
    whatever else is in the file. What comes before it is the prompt; what comes after it is left out.
    """

    description: ClassVar[str] = gettext_noop("dialogues, of each of which one model-written turn is taken")
    fields: ClassVar[tuple[str, ...]] = (*DIALOGUE_FIELDS, "source", "prompt_id")
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (DIALOGUE_FIELDS,)

    def __init__(self, columns: ColumnMap, *, seed: int) -> None:
        self._columns = columns
        self._seed = seed

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        """{messages, prompt_id, answers, sources}: the turn taken is the only answer."""
        field = next(
            (field for field in DIALOGUE_FIELDS if self._columns.has(row, field)), DIALOGUE_FIELDS[0]
        )
        column = self._columns.name(field)
        turns = self._columns.parse(row, field, _parse_dialogue, self._columns.messages)
        spans = model_turns(turns)
        if not spans:
            raise RowError(column, "has no assistant turn that answers a user or tool turn")
        start, end = spans[random.Random(f"{self._seed}/{hash_messages(turns)}").randrange(len(spans))]
        return {
            "messages": check_prompt(turns[:start], column),
            "prompt_id": self._columns.parse_optional(row, "prompt_id", parse_id),
            "answers": [to_answer(turns[start:end])],
            "sources": [self._columns.parse_optional(row, "source", parse_name)],
        }


def model_turns(turns: list[Message]) -> list[tuple[int, int]]:
    """(first, end) of each stretch of assistant turns that follows a user or tool turn and says something."""
    spans, place = [], 0
    for is_assistant, group in groupby(turns, key=lambda turn: turn["role"] == "assistant"):
        stretch = list(group)
        follows = place > 0 and turns[place - 1]["role"] in LAST_ROLES
        if (
            is_assistant
            and follows
            and any(turn["content"].strip() or turn.get("tool_calls") for turn in stretch)
        ):
            spans.append((place, place + len(stretch)))
        place += len(stretch)
    return spans


def _parse_dialogue(value: Any, column: str, messages: MessageParser) -> list[Message]:
    if not isinstance(value, str):
        return messages.conversation(value, column)
    turns = from_transcript(tidy_transcript(parse_nonempty_text(value, column)).rstrip() + ASSISTANT_MARKER)
    if turns is None:
        raise RowError(column, "is text but no transcript that begins with “Human:”")
    return turns
