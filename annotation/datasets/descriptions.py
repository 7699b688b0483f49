"""What people write about a dataset: its name, its licence, a few sentences."""

import re

from annotation.text import clean_text
from workspace.cards import MAX_LICENCE_CHARACTERS
from workspace.errors import ActionError

MAX_NAME_CHARACTERS = 120
MAX_DESCRIPTION_CHARACTERS = 10_000
DESCRIBED = ("licence", "description")  # columns of a dataset that people write


def clean_name(name: str) -> str:
    return _one_line(name, "The name of a dataset", MAX_NAME_CHARACTERS, allow_empty=False)


def clean_licence(licence: str) -> str:
    return _one_line(licence, "The licence", MAX_LICENCE_CHARACTERS)


def clean_description(description: str) -> str:
    text = clean_text(description, "The description", allow_empty=True).strip()
    _require_length(text, "The description", MAX_DESCRIPTION_CHARACTERS)
    return text


def clean_card(licence: str | None, notes: str | None) -> dict[str, str | None]:
    """Both as a model's card has them; None stays None. Raises ActionError."""
    return {
        "licence": None if licence is None else clean_licence(licence),
        "notes": None if notes is None else clean_description(notes),
    }


def _one_line(text: str, what: str, longest: int, *, allow_empty: bool = True) -> str:
    text = re.sub(r"\s+", " ", clean_text(text, what, allow_empty=allow_empty)).strip()
    _require_length(text, what, longest)
    return text


def _require_length(text: str, what: str, longest: int) -> None:
    if len(text) > longest:
        raise ActionError(
            f"{what} has {len(text):,} characters; at most {longest:,} fit.", code="text_too_long"
        )
