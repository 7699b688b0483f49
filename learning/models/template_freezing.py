"""Chat templates made to write the same text today and tomorrow, here and in other programs.

A template that asks for the date gets one date for good; values that a caller would have to pass each time
(chat_template_kwargs) become a part of the template.
"""

import datetime
import json
import re
from collections.abc import Mapping
from typing import Any

import jinja2
import jinja2.meta

from learning.interface.options import UserError

_DATED = re.compile(r"""strftime_now\(\s*(?:format\s*=\s*)?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\)""")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# What transformers itself gives every template.
_OURS = {
    "messages", "add_generation_prompt", "tools", "documents", "strftime_now", "raise_exception", "bos_token",
    "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token",
}  # fmt: skip


def freeze_date(template: str, date: datetime.date) -> tuple[str, bool]:
    """(the template with this date where it asks for today's, whether it asks).

    Raises UserError for a template that asks in a way that cannot be frozen.
    """

    def dated(found: re.Match[str]) -> str:
        form = json.loads(f'"{found[1][1:-1]}"') if '"' not in found[1][1:-1] else found[1][1:-1]
        return json.dumps(date.strftime(form), ensure_ascii=False)

    frozen = _DATED.sub(dated, template)
    if re.search(r"strftime_now\s*\(", frozen):
        raise UserError(
            "the chat template asks for today's date in a way that cannot be frozen: prompts would change from "
            "day to day; write a date into its strftime_now(...)"
        )
    return frozen, frozen != template


def freeze_values(template: str, values: Mapping[str, Any]) -> str:
    """The template with these variables set in it. Raises UserError for one that it does not have."""
    if not values:
        return template
    known = sorted(_variables(template) - _OURS)
    lines = []
    for name, value in values.items():
        if not _IDENTIFIER.fullmatch(name) or name not in known:
            raise UserError(
                f"the chat template has no variable {name!r}; it has {', '.join(known) or 'none of its own'}"
            )
        if not isinstance(value, bool | int | float | str):
            raise UserError(f"chat_template_kwargs {name}: give true, false, a number or text")
        lines.append(f"{{% set {name} = {json.dumps(value, ensure_ascii=False)} %}}")
    return "".join(lines) + template


def _variables(template: str) -> set[str]:
    """What the template asks its caller for. Raises UserError for one that is no Jinja."""
    environment = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"])  # noqa: S701 - parsed, not rendered
    # HF's own tag, which Jinja does not know.
    plain = re.sub(r"\{%-?\s*(?:end)?generation\s*-?%\}", "", template)
    try:
        return jinja2.meta.find_undeclared_variables(environment.parse(plain))
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"the chat template is not valid ({error})") from error
