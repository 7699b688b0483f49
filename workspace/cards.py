"""Cards of datasets and models: the YAML header that the Hugging Face Hub reads, and others' words in Markdown.

The header's fields are those of the Hub's documentation (hub/datasets-cards, hub/model-cards).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

MAX_LICENCE_CHARACTERS = 100
# Identifiers of the Hub's list of licences (hub/repositories-licenses): SPDX's own in small letters, but for those of
# OTHER_SPDX_NAMES. Any other licence goes out as `other` with its own name.
HUB_LICENCES = (
    "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc0-1.0", "odc-by", "odbl", "pddl",
    "apache-2.0", "mit", "cdla-permissive-2.0", "cdla-sharing-1.0", "bsd-3-clause", "gpl-3.0", "unlicense",
)  # fmt: skip
OTHER_SPDX_NAMES = {
    "odc-by-1.0": "odc-by",
    "odbl-1.0": "odbl",
    "pddl-1.0": "pddl",
    "gpl-3.0-only": "gpl-3.0",
    "gpl-3.0-or-later": "gpl-3.0",
}
SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"),
)  # fmt: skip


def header(fields: Mapping[str, Any]) -> str:
    """The fields that have a value as YAML, in their order and without the lines `---` around it."""
    said = {name: value for name, value in fields.items() if value not in (None, "", [], {})}
    return yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=1_000)


def licence_fields(licence: str) -> dict[str, str]:
    """`license` as the Hub has it; one it does not know is `other`, with its name and its address where it has one."""
    written = licence.strip()
    known = OTHER_SPDX_NAMES.get(written.lower(), written.lower())
    if not written:
        return {}
    if known in HUB_LICENCES:
        return {"license": known}
    found = {"license": "other"}
    link = re.search(r"https?://\S+", written)
    name = written.replace(link[0], "") if link else written
    name = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")
    return found | {"license_name": name or "see-link"} | ({"license_link": link[0]} if link else {})


def size_category(rows: int) -> str:
    return next((name for limit, name in SIZES if rows < limit), "n>1B")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, or nothing where it has no rows."""
    lines = [f"| {' | '.join(cell(value) for value in row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines]) + "\n"


def cell(value: object) -> str:
    """A text of somebody else's in a cell of a table, or in a line."""
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return re.sub(r"([\\|<>\[\]`*_])", r"\\\1", " ".join(text.split()))


def percent(share: float | None, digits: int = 1) -> str:
    return "" if share is None else f"{100 * share:.{digits}f} %"
