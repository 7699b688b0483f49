"""Message trees, as Open Assistant publishes them: each set of ranked replies is a ranking."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_noop

from annotation.errors import InvalidText
from annotation.importing.readers.base import ForeignFormatReader, Row
from annotation.importing.readers.fields import parse_id, parse_integer, parse_list, parse_name
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair, check_responses
from annotation.importing.readers.messages import Message, MessageParser, check_prompt
from annotation.importing.readers.row_extras import storable
from annotation.importing.rows import RowError, describe_json_type
from annotation.preferences.weak_orders import dense_ranks
from learning.interface.messages import Answer
from learning.interface.vocabulary import PERSON, POLICY

# What a message of a tree has that makes the tree, and what else it has that is no part of the conversation and is kept
# as it is; the rest is read as a message.
_OF_THE_TREE = frozenset(
    "message_id parent_id message_tree_id tree_state deleted rank synthetic model_name replies".split()
)
_KEPT = frozenset(
    "user_id created_date lang review_count review_result detoxify emojis labels events".split()
)


class OasstReader(ForeignFormatReader):
    """`prompt`: a message {text, role, replies: [...]}, its replies like it, with a `rank` (0 best) on the assistant's.

    A judgment is made of every two or more ranked replies to one message; its prompt is the path to that message.
    What else a tree says of that message and of the replies (language, emojis, labels, reviews) is kept in `metadata`,
    as `message` and `replies`. Deleted messages and replies without a rank are left out; a deleted message takes those
    under it along. Replies that a model wrote (`synthetic`) have the policy `model_name` as their source, the others a
    person.
    """

    description: ClassVar[str] = gettext_noop(
        "message trees with ranks on the replies, as Open Assistant has them"
    )
    fields: ClassVar[tuple[str, ...]] = ("prompt", "message_tree_id", "tree_state", "annotator")

    def row_id(self, row: Row) -> str | None:
        return self._columns.parse_optional(row, "message_tree_id", parse_id)

    def row_id_column(self, row: Row) -> str:
        return self._columns.name("message_tree_id")

    def read(self, row: Row, line: int) -> list[ImportedJudgment | ImportedPair]:
        if not self._columns.has(row, "prompt") and "parent_id" in row:
            raise RowError(
                "parent_id",
                "is of a file with a message a line: name the file of whole trees (….trees.jsonl.gz)",
            )
        # Every tree that is published has this state: it says nothing that should be kept.
        if row.get("tree_state") == "ready_for_export":
            self._columns.parse_optional(row, "tree_state", parse_name)
        root = self._columns.value(row, "prompt")
        annotator = self._annotator(row)
        return list(self._rankings(root, self._columns.name("prompt"), [], annotator))

    def _rankings(
        self, node: Any, where: str, before: list[Message], annotator: str | None
    ) -> Iterator[ImportedJudgment]:
        # A stack, children in file order: trees may be as deep as JSON allows.
        waiting = [(node, where, before)]
        while waiting:
            node, where, before = waiting.pop()
            if not isinstance(node, Mapping):
                raise RowError(where, f"should be a message (text, role) but is {describe_json_type(node)}")
            if node.get("deleted"):
                continue
            path = [*before, *self._messages.conversation([_message(node)], where)]
            replies = parse_list(node.get("replies") or [], f"{where}.replies")
            named = [(reply, f"{where}.replies.{index}") for index, reply in enumerate(replies)]
            if path[-1]["role"] == "user":
                yield from self._ranking(path, named, where, annotator, _kept(node, where))
            waiting += [(reply, name, path) for reply, name in reversed(named)]

    def _ranking(
        self,
        path: list[Message],
        replies: list[tuple[Any, str]],
        where: str,
        annotator: str | None,
        of_message: dict[str, Any],
    ) -> Iterator[ImportedJudgment]:
        responses: list[Answer] = []
        of_replies: list[dict[str, Any]] = []
        ranks: list[int] = []
        sources: list[list[str]] = []
        for reply, name in replies:
            if not isinstance(reply, Mapping):
                raise RowError(name, f"should be a message (text, role) but is {describe_json_type(reply)}")
            if reply.get("deleted") or reply.get("rank") is None:
                continue
            responses.append(self._messages.response([_message(reply)], name))
            ranks.append(parse_integer(reply["rank"], f"{name}.rank", 0, 10**6))
            sources.append(_source(reply, name))
            of_replies.append(_kept(reply, name))
        if len(responses) < 2:
            return
        check_responses(responses, [f"{where}.replies"])
        dense = dense_ranks(ranks)
        yield ImportedJudgment(
            prompt=check_prompt(path, where),
            responses=responses,
            ranks=dense,
            strengths=[None] * max(dense),
            sources=sources,
            annotator=annotator,
            metadata=({"message": of_message} if of_message else {})
            | ({"replies": of_replies} if any(of_replies) else {})
            or None,
        )

    @property
    def _messages(self) -> MessageParser:
        return self._columns.messages


def _message(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in _OF_THE_TREE | _KEPT}


def _kept(node: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Raises RowError for what no database keeps."""
    kept = {}
    for key in sorted(_KEPT & node.keys()):
        if node[key] is None:
            continue
        try:
            kept[key] = storable(node[key])
        except InvalidText as problem:
            raise RowError(f"{where}.{key}", f"cannot be kept: {problem.message}") from problem
    return kept


def _source(reply: Mapping[str, Any], where: str) -> list[str]:
    if not reply.get("synthetic"):
        return [PERSON, PERSON]
    name = reply.get("model_name")
    return [POLICY, parse_name(name, f"{where}.model_name") if name else POLICY]
