"""The dataset card (README.md) of an export, with its columns as `dataset_info`.

Without the columns `datasets` guesses the types of JSON Lines from the first rows of each split: a column that
is null all through one split gets no type there, and the splits do not fit together any more. What is written
here is what `datasets.Features.from_arrow_schema(schema)` writes of itself; the site does not import `datasets`.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from annotation.exporting.formats.base import ExportFormat
from learning.interface.vocabulary import SPLITS


def dataset_info_yaml(schema: pa.Schema, map_keys: Iterable[str] = ()) -> str:
    """The block of the card's header that describes the columns.

    `map_keys`: every key that the maps of the rows have; JSON has a map as an object, which `datasets` reads as
    one column a key.
    """
    keys = sorted(set(map_keys))
    return "\n".join(["dataset_info:", "  features:", *_field_lines(schema, keys, "  ")]) + "\n"


def _field_lines(fields: Iterable[pa.Field], keys: list[str], indent: str) -> Iterator[str]:
    for field in fields:
        yield f"{indent}- name: {_quoted(field.name)}"
        yield from _type_lines(field.type, keys, indent + "  ")


def _type_lines(data_type: pa.DataType, keys: list[str], indent: str) -> Iterator[str]:
    if pa.types.is_list(data_type):
        inner = data_type.value_type
        if pa.types.is_struct(inner):
            yield f"{indent}list:"
            yield from _field_lines(inner, keys, indent)
        elif pa.types.is_list(inner):
            yield f"{indent}list:"
            yield from _type_lines(inner, keys, indent + "  ")
        else:
            yield f"{indent}list: {_hf_type_name(inner)}"
    elif pa.types.is_map(data_type):
        yield from _type_lines(pa.struct([pa.field(key, data_type.item_type) for key in keys]), keys, indent)
    elif pa.types.is_struct(data_type):
        yield f"{indent}struct:{'' if data_type.num_fields else ' []'}"
        yield from _field_lines(data_type, keys, indent)
    else:
        yield f"{indent}dtype: {_hf_type_name(data_type)}"


def _hf_type_name(data_type: pa.DataType) -> str:
    return {"double": "float64"}.get(str(data_type), str(data_type))


def _quoted(name: str) -> str:
    """A double-quoted YAML string: a mark may have any name."""
    plain = "".join(
        letter
        if letter.isascii() and letter.isprintable() and letter not in '"\\'
        else f"\\U{ord(letter):08x}"
        for letter in name
    )
    return f'"{plain}"'


def split_of_file(file: Mapping[str, Any]) -> str:
    return Path(file["name"]).name.split("-")[0]


def dataset_card(manifest: Mapping[str, Any], export_format: ExportFormat, features: str) -> str:
    """README.md with the metadata header that the Hub and `datasets` read."""
    suffix = Path(manifest["files"][0]["name"]).suffix
    splits = [name for name in SPLITS if any(split_of_file(file) == name for file in manifest["files"])]
    data_files = "".join(f"  - split: {name}\n    path: data/{name}-*{suffix}\n" for name in splits)
    counts = "\n".join(
        f"| {what.replace('_', ' ')} | {count} |" for what, count in manifest["counts"].items()
    )
    kinds = ", ".join(f"{count} by {kind}" for kind, count in manifest["judgments_by_annotator_kind"].items())
    criteria = ", ".join(manifest["criteria"])
    return f"""---
pretty_name: {manifest["project"]} preferences
tags:
- preference
- human-feedback
- roundtable
configs:
- config_name: default
  data_files:
{data_files}{features}---

# Preferences of {manifest["project"]}

{export_format.description[0].upper()}{export_format.description[1:]}.
Criterion: {criteria}. Judgments: {kinds}. Snapshot of {manifest["time"]}.

| | |
|---|---|
{counts}

- Merging: {manifest["merging"]}. Ties: {manifest["tie_policy"]}. Margin: {manifest["margin"]}.
- Splits are by prompt: {manifest["split_rule"]}; salt {manifest["split_salt_id"]}.
- `manifest.json` has the filters and the SHA-256 of each file.

```python
from datasets import load_dataset

dataset = load_dataset("PATH_OF_THIS_FOLDER")
```
"""


def texts_card(manifest: Mapping[str, Any], features: str) -> str:
    """README.md of an export of plain texts."""
    suffix = Path(manifest["files"][0]["name"]).suffix
    splits = [name for name in SPLITS if any(split_of_file(file) == name for file in manifest["files"])]
    data_files = "".join(f"  - split: {name}\n    path: data/{name}-*{suffix}\n" for name in splits)
    licences = "\n".join(
        f"| {_cell(licence) or 'not said'} | {count} |" for licence, count in manifest["licences"].items()
    )
    return f"""---
pretty_name: {manifest["project"]} texts
tags:
- pretraining
- roundtable
configs:
- config_name: default
  data_files:
{data_files}{features}---

# Texts of {manifest["project"]}

Plain texts, one document a row. As of {manifest["time"]}.

| licence | texts |
|---|---|
{licences}

- Splits: {manifest["split_rule"]}; salt {manifest["split_salt_id"]}.
- `manifest.json` has the SHA-256 of each file.

```python
from datasets import load_dataset

dataset = load_dataset("PATH_OF_THIS_FOLDER")
```
"""


def _cell(text: str) -> str:
    """A text of somebody else's in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
