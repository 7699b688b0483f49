"""Transcripts in one string, as the HH files write them: "\\n\\nHuman: ..." and "\\n\\nAssistant: ...", in turn.

The string has no escapes, so a turn that contains a marker cannot be told from two turns: `from_transcript`
reads what is there, and whoever writes one checks with `is_lossless_transcript` whether it can be read back.
"""

import re

from learning.interface.messages import Answer
from learning.interface.vocabulary import LAST_ROLES

Message = dict[str, str]
MARKERS = {"system": "\n\nSystem:", "user": "\n\nHuman:", "assistant": "\n\nAssistant:", "tool": "\n\nTool:"}
_ROLES = {marker.strip(): role for role, marker in MARKERS.items()}
_MARKER = re.compile(r"\n\n(System:|Human:|Assistant:|Tool:)")
_CRLF_MARKER = re.compile(r"\r\n(System:|Human:|Assistant:|Tool:)")
_STRIPPED = re.compile(r"\n?(System:|Human:|Assistant:)")
_EMPTY_LINES = re.compile(r"(?:[ \t]*\n)+")
ASSISTANT_MARKER = MARKERS["assistant"]


def to_transcript(messages: list[Message]) -> str:
    """The prompt, ending with the assistant's marker: a response is appended after one space."""
    return "".join(f"{MARKERS[turn['role']]} {turn['content']}" for turn in messages) + ASSISTANT_MARKER


def from_transcript(prompt: str) -> list[Message] | None:
    """The turns of a transcript that ends with the assistant's marker; None when it is not one."""
    if not prompt.endswith(ASSISTANT_MARKER):
        return None
    before, *parts = _MARKER.split(prompt[: -len(ASSISTANT_MARKER)])
    if before.strip() or not parts:
        return None
    return [
        {"role": _ROLES[marker], "content": turn_text(text)}
        for marker, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def turn_text(after_marker: str) -> str:
    """What a turn says: without the space or the empty lines that part it from its marker, and without the white space
    that parts it from the next one. The indentation of its first line is its own.
    """
    text = after_marker.rstrip()
    empty_lines = _EMPTY_LINES.match(text)
    return text[empty_lines.end() :] if empty_lines else text.removeprefix(" ")


def tidy_transcript(text: str) -> str:
    """A transcript as the HH files have it, of one whose lines end in CR LF or whose beginning was stripped."""
    if _CRLF_MARKER.search(text):
        text = text.replace("\r\n", "\n")
    return "\n\n" + text.removeprefix("\n") if _STRIPPED.match(text) else text


def is_lossless_transcript(messages: list[Message]) -> bool:
    return from_transcript(to_transcript(messages)) == messages


def to_continuation(turns: list[Message]) -> str:
    """What follows a prompt's transcript and one space: the first turn is the assistant's, whose marker is there."""
    first, *others = turns
    return first["content"] + "".join(f"{MARKERS[turn['role']]} {turn['content']}" for turn in others)


def read_continuation(text: str) -> Answer:
    """What follows the assistant's marker of a prompt: a text, or the turns of a conversation that goes on."""
    if MARKERS["user"] not in text:
        return turn_text(text)
    first, *parts = _MARKER.split(text)
    return [
        {"role": "assistant", "content": turn_text(first)},
        *(
            {"role": _ROLES[marker], "content": turn_text(said)}
            for marker, said in zip(parts[::2], parts[1::2], strict=True)
        ),
    ]


def shared_prompt(chosen: str, rejected: str) -> tuple[str, Answer, Answer] | None:
    """(prompt, chosen response, rejected response); None when the two transcripts share no prompt.

    The prompt is the longest common prefix that ends with an assistant marker. A marker that follows an assistant's
    own turn is ignored: a prompt ends with what a person or a tool said, and two assistant turns in a row are one
    response.
    """
    common = _common_prefix_length(chosen, rejected)
    end = common
    while (start := chosen.rfind(ASSISTANT_MARKER, 0, end)) >= 0:
        prompt = chosen[: start + len(ASSISTANT_MARKER)]
        turns = from_transcript(prompt)
        if turns and turns[-1]["role"] in LAST_ROLES:
            return (
                prompt,
                read_continuation(chosen[len(prompt) :]),
                read_continuation(rejected[len(prompt) :]),
            )
        end = start + len(ASSISTANT_MARKER) - 1
    return None


def _common_prefix_length(a: str, b: str) -> int:
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
