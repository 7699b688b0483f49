"""Conversations in a tokenizer's chat template, with tool calls, and so that no text becomes a special token."""

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jinja2
from transformers import PreTrainedTokenizerFast

from learning.interface.messages import message_texts, to_openai_messages
from learning.interface.options import UserError

Message = Mapping[str, Any]


class TurnBorder(NamedTuple):
    """What the template writes around the text of an answer."""

    opening: str  # as a part of the answer, where an answer is asked for: "<think>"
    start: str  # between what asks for the answer and the answer: a space, perhaps
    end: str  # its end token, and perhaps a line break


@functools.lru_cache(maxsize=8)
def turn_border(tokenizer: PreTrainedTokenizerFast, template: str) -> TurnBorder:
    """Of this tokenizer while this is its template."""
    asked = [{"role": "user", "content": "A"}]
    turns = [*asked, {"role": "assistant", "content": "\ue000"}]
    opened = _apply_template(tokenizer, asked, add_generation_prompt=True)
    before, _, end = _apply_template(tokenizer, turns, add_generation_prompt=False).rpartition("\ue000")
    opening = re.search(r"<think>\s*\Z", opened)
    return TurnBorder(
        opening=opening[0] if opening else "",
        start=before.removeprefix(opened) if before.startswith(opened) else "",
        end=end,
    )


class MarkedMessages:
    """Messages whose texts are marks in private-use characters, so that no text can become a special token.

    A mark stands for a whole content, and inside of calls for each special token that somebody wrote.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message], *, always: bool = False
    ) -> None:
        self.texts: list[str] = []
        self.roles: list[str] = []  # who wrote each of them
        self._specials = sorted(_special_texts(tokenizer), key=len, reverse=True)
        written = [text for message in messages for text in message_texts(message)]
        self.needed = any(special in text for text in written for special in self._specials)
        if (self.needed or always) and any("\ue000" in text for text in written):
            raise UserError(
                "a prompt holds both a special token of the tokenizer and the private-use character U+E000; remove one"
                if self.needed
                else "a response with tool calls or several turns holds the private-use character U+E000; remove it"
            )
        self.marked = (
            [self._marked(message) for message in messages] if self.needed or always else list(messages)
        )
        self._n_contents = sum(bool(message["content"]) for message in self.marked)

    def _mark(self, text: str, role: str) -> str:
        self.texts.append(text)
        self.roles.append(role)
        return f"\ue000{len(self.texts) - 1}\ue001"

    def _marked(self, message: Message) -> Message:
        found = {**message}
        if message["content"]:  # templates ask whether there is one
            found["content"] = self._mark(message["content"], message["role"])
        if message.get("tool_calls"):
            found["tool_calls"] = [
                {**call, "name": self._without_specials(call["name"], message["role"]),
                 "arguments": self._without_specials(call["arguments"], message["role"])}
                for call in message["tool_calls"]
            ]  # fmt: skip
        return found

    def _without_specials(self, text: str, role: str) -> str:
        if not any(special in text for special in self._specials):
            return text
        pattern = "|".join(map(re.escape, self._specials))
        return re.sub(pattern, lambda found: self._mark(found[0], role), text)

    def render(
        self, tokenizer: PreTrainedTokenizerFast, count: int, *, add_generation_prompt: bool = False
    ) -> str:
        """The first `count` messages in the template, marks in place of texts."""
        rendered = render_template(
            tokenizer, self.marked[:count], add_generation_prompt=add_generation_prompt
        )
        seen = [int(number) for number in _MARK.findall(rendered)]
        contents = [int(m["content"][1:-1]) for m in self.marked[:count] if _MARK.fullmatch(m["content"])]
        if [number for number in seen if number in contents] != contents:
            raise UserError("the tokenizer's chat template leaves out or reorders turns of this prompt")
        return rendered

    def encode(self, tokenizer: PreTrainedTokenizerFast, rendered: str) -> list[int]:
        ids: list[int] = []
        for index, part in enumerate(_MARK.split(rendered)):
            if index % 2:
                ids += encode_text(tokenizer, self.texts[int(part)])
            elif part:
                ids += tokenizer(part, add_special_tokens=False)["input_ids"]
        return ids

    def are_assistants(self, tokenizer: PreTrainedTokenizerFast, rendered: str, end: str) -> list[bool]:
        """For each id of `encode`, whether the assistant says it: its texts, and what follows each up to its `end`, the
        end token with it. Calls of a turn without a text are not among them.
        """
        found: list[bool] = []
        role = ""
        for index, part in enumerate(_MARK.split(rendered)):
            if index % 2:
                role = self.roles[int(part)]
                found += [role == "assistant"] * len(encode_text(tokenizer, self.texts[int(part)]))
            elif part:
                own = part.find(end) + len(end) if role == "assistant" and end and end in part else 0
                encoded = tokenizer(part, add_special_tokens=False, return_offsets_mapping=True)
                found += [stop <= own for _, stop in encoded["offset_mapping"]]
        return found


_MARK = re.compile("\ue000(\\d+)\ue001")


def encode_text(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def render_template(
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message], *, add_generation_prompt: bool
) -> str:
    if any(message.get("tool_calls") for message in messages):
        require_calls_rendered(tokenizer, tokenizer.chat_template)
    return _apply_template(tokenizer, messages, add_generation_prompt=add_generation_prompt)


def _apply_template(
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message], *, add_generation_prompt: bool
) -> str:
    try:
        rendered: Any = tokenizer.apply_chat_template(
            _for_template(messages), tokenize=False, add_generation_prompt=add_generation_prompt
        )
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        roles = ", ".join(message["role"] for message in messages)
        raise UserError(
            f"the tokenizer's chat template refuses a prompt with turns {roles} ({error})"
        ) from error
    return rendered


def _for_template(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as chat templates know them: the arguments of a call as an object, where they are one."""
    converted = to_openai_messages(messages)
    for message in converted:
        for call in message.get("tool_calls", ()):
            if call["id"] is None:
                del call["id"]
            try:
                arguments = json.loads(call["function"]["arguments"])
            except (ValueError, RecursionError):
                continue
            if isinstance(arguments, dict):
                call["function"]["arguments"] = arguments
    return converted


@functools.lru_cache(maxsize=8)
def require_calls_rendered(tokenizer: PreTrainedTokenizerFast, template: str) -> None:
    """UserError when the chat template leaves out a part of a tool call, or the result of one."""
    call = {"id": "call00001", "name": "zqname", "arguments": '{"zqkey": "zqvalue"}'}
    messages: list[Message] = [
        {"role": "user", "content": "A"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "zqresult", "tool_call_id": "call00001", "name": "zqname"},
        {"role": "assistant", "content": "B"},
    ]
    try:
        rendered = _apply_template(tokenizer, messages, add_generation_prompt=False)
    except UserError as error:
        reason = f"refuses them ({error})"
    else:
        parts = {"names": "zqname", "arguments": "zqvalue", "results": "zqresult"}
        missing = [what for what, mark in parts.items() if mark not in rendered]
        if not missing:
            return
        reason = f"leaves out their {' and '.join(missing)}"
    raise UserError(
        f"{tokenizer.name_or_path or 'this model'}: the data has tool calls, and its chat template {reason}; choose "
        "a model whose chat template knows tool calls, or leave those rows out"
    )


def _special_texts(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    return [token.content for token in tokenizer.added_tokens_decoder.values()]
