"""One response of a judgments record: its text, source, sampling settings, marks and end."""

from collections.abc import Mapping
from typing import Any

from annotation.errors import InvalidJudgment, InvalidText
from annotation.importing.readers.fields import (
    parse_bool,
    parse_id,
    parse_integer,
    parse_number,
    parse_text,
)
from annotation.importing.readers.messages import MessageParser
from annotation.importing.rows import RowError, describe_json_type
from annotation.preferences.validation import clean_marks
from learning.interface.messages import Answer
from learning.interface.vocabulary import SAMPLING_FIELDS, SOURCE_KINDS

_FIELDS = ("response_id", "text", "turns", "source", "policy", "sampling", "marks", "ended")


def _marks_to_dict(marks: Any) -> dict[str, Any]:
    """Marks as an object; Parquet gives them as pairs, or as objects with key and value."""
    if not isinstance(marks, list):
        return dict(marks or {})
    return {pair["key"]: pair["value"] for pair in marks if isinstance(pair, Mapping)} | dict(
        pair for pair in marks if not isinstance(pair, Mapping)
    )


def _parse_marks(value: Any, column: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping | list):
        raise RowError(column, f"should be an object but is {describe_json_type(value)}")
    try:
        marks = _marks_to_dict(value)
        clean_marks({0: marks}, [0])
    except (InvalidJudgment, InvalidText) as error:
        raise RowError(column, error.message) from error
    except (TypeError, ValueError, KeyError) as error:
        raise RowError(column, "should be an object of names and numbers") from error
    return marks


def _parse_sampling(value: Any, column: str) -> dict[str, float | int | str] | None:
    """The settings that are given. Others than these would be lost on the way out: they are refused."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise RowError(column, f"should be an object but is {describe_json_type(value)}")
    sampling: dict[str, float | int | str] = {}
    for name, setting in value.items():
        where = f"{column}.{name}"
        if name not in SAMPLING_FIELDS:
            raise RowError(where, f"is not known; take it out ({', '.join(SAMPLING_FIELDS)} are kept)")
        if setting is None:
            continue
        if SAMPLING_FIELDS[name] is str:
            sampling[name] = parse_text(setting, where)
        elif SAMPLING_FIELDS[name] is int:
            sampling[name] = parse_integer(setting, where, -(2**63), 2**63 - 1)
        else:
            sampling[name] = parse_number(setting, where)
    return sampling


def _parse_answer(entry: Mapping[str, Any], column: str) -> Answer:
    """The turns where the record has them: its text is only their short form."""
    text = parse_text(entry.get("text"), f"{column}.text")
    return text if entry.get("turns") is None else MessageParser().response(entry["turns"], f"{column}.turns")


def parse_response_record(entry: Any, column: str) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise RowError(
            column, f"should be a response (response_id, text, ...) but is {describe_json_type(entry)}"
        )
    for key, value in entry.items():
        if key not in _FIELDS and value not in (None, "", [], {}):
            raise RowError(f"{column}.{key}", f"cannot be kept; take it out ({', '.join(_FIELDS)} are kept)")
    source = entry.get("source") or "import"
    if source not in SOURCE_KINDS:
        raise RowError(
            f"{column}.source", f"is {str(source)[:40]}; it should be one of {', '.join(SOURCE_KINDS)}"
        )
    policy = entry.get("policy")
    return {
        "response_id": parse_id(entry.get("response_id"), f"{column}.response_id"),
        "answer": _parse_answer(entry, column),
        "source": [source, parse_text(policy, f"{column}.policy") if policy is not None else source],
        "sampling": _parse_sampling(entry.get("sampling"), f"{column}.sampling"),
        "marks": _parse_marks(entry.get("marks"), f"{column}.marks"),
        "ended": parse_ended(entry.get("ended"), f"{column}.ended"),
    }


def parse_ended(value: Any, column: str) -> bool | None:
    """False: cut at the sampler's limit; None: nobody knows."""
    return None if value is None else parse_bool(value, column)
