"""Reward functions that come with the program.

A reward function takes the prompts (each a list of {"role", "content"} messages) and as many response texts, and
returns one finite number a response, in their order. It runs in a process of its own, without torch. For rewards of the
steps of a response it returns, in place of the number, a list of pairs: how many characters of the response there are
up to the end of the step, and the step's reward.

One with a third parameter, called `records` or without a default, also gets as many records of the prompts:
{"prompt_id", "tags", "source_id", "metadata", "reference"} (prompt_records.py). What it needs of each of them it says
by `needs`; a run ends before it trains where a prompt has it not.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

CHARACTERS_A_POINT = 100
Function = TypeVar("Function", bound=Callable[..., Any])

# A number as people write it: 7, -0.5, .5, 1,234.50. A comma that separates no thousands ends it, a minus behind a word
# or a number is one of a range or a difference, and what stands beside a slash is a part of a fraction or a date.
_NUMBER = re.compile(
    r"(?<![\d./])(?<!\d\s/\s)(?:(?<!\w)-[$€£¥]?)?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
    r"(?!\d|\.\d|,\d{3}(?!\d)|\s?/\s?\d)"
)
# What an answer is announced by: GSM8K's own sign, and words.
_MARKER = re.compile(r"####|\banswer\b[*_ ]*(?:is\b[*_ ]*)?:|\banswer is\b", re.IGNORECASE)
_AROUND = " .,;:!?*_`\"'“”‘’()[]{}$"  # what stands around an answer and is none of it


def needs(*names: str) -> Callable[[Function], Function]:
    """What a function needs of every prompt: keys of its record, or columns of its metadata."""

    def mark(function: Function) -> Function:
        function.needs = names  # type: ignore[attr-defined]
        return function

    return mark


def length_penalty(prompts: Sequence[Sequence[dict[str, str]]], responses: Sequence[str]) -> list[float]:
    """Minus the length of the response, in hundreds of characters: one point less for every 100.

    Characters and not words, so that it means the same for languages without spaces.
    """
    return [-len(response) / CHARACTERS_A_POINT for response in responses]


@needs("reference")
def exact_answer(
    prompts: Sequence[Sequence[dict[str, str]]],
    responses: Sequence[str],
    records: Sequence[Mapping[str, Any]],
) -> list[float]:
    """1 where the response's answer is the prompt's reference answer, else 0; see `is_right`."""
    return [
        float(is_right(response, record["reference"]))
        for response, record in zip(responses, records, strict=True)
    ]


def is_right(response: str, reference: str) -> bool:
    """The right answer is what follows the reference's last marker (####, “answer:” or “answer is”), without a marker
    the whole reference. Where that is a number, the response's answer is the first number after its own last marker,
    without a marker its last number, and numbers of the same value are the same (1,234.0 is 1234; signs of money and %
    say nothing). Else the response's answer is the line after its own last marker, without a marker the whole, and the
    same words are the same whatever their case, their spaces and the punctuation around them.
    """
    announced_right, announced = _after_marker(reference), _after_marker(response)
    right = reference if announced_right is None else announced_right
    wanted = number_in(right)
    if wanted is None:
        said = _words(response if announced is None else announced.partition("\n")[0])
        return bool(said) and said == _words(right)
    found = _NUMBER.findall(_plain(response if announced is None else announced))
    return bool(found) and _value(found[-1 if announced is None else 0]) == wanted


def number_in(text: str) -> Decimal | None:
    """The number that a text is, but for a sign of money, % or a full stop; None where it is another text."""
    found = _NUMBER.fullmatch(_plain(text).lstrip("$€£¥ ").rstrip("$€£¥%. "))
    return None if found is None else _value(found[0])


def _after_marker(text: str) -> str | None:
    markers = list(_MARKER.finditer(text))
    return text[markers[-1].end() :].strip() if markers else None


def _plain(text: str) -> str:
    return text.replace("\N{MINUS SIGN}", "-").strip()


def _value(number: str) -> Decimal:
    return Decimal(re.sub("[,$€£¥]", "", number))


def _words(text: str) -> str:
    return " ".join(text.casefold().split()).strip(_AROUND)
