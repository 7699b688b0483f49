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
from workspace.cards import cell, header, licence_fields, percent, size_category, table

PICTURES = "pictures"  # the folder of the card's


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
    if isinstance(data_type, pa.JsonType):
        return "json"
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


def dataset_card(
    manifest: Mapping[str, Any],
    export_format: ExportFormat,
    features: str,
    *,
    licence: str,
    description: str,
    statistics: Mapping[str, Any],
    pictures: Mapping[str, tuple[str, str]],
) -> str:
    """README.md with the metadata header that the Hub and `datasets` read. The figures are those of the whole snapshot,
    whatever of it was exported; `pictures` as annotation.datasets.pictures has them.
    """
    losses = "".join(f"- {loss['count']} {loss['meaning']}.\n" for loss in manifest["losses"].values())
    if losses:
        losses = f"\nWhat this format does not carry of the judgments:\n\n{losses}"
    kinds = ", ".join(f"{count} by {kind}" for kind, count in manifest["judgments_by_annotator_kind"].items())
    label = manifest["dataset"] + (
        f", version {manifest['dataset_version']}" if manifest["dataset_version"] > 1 else ""
    )
    head = header(
        licence_fields(licence)
        | {
            "pretty_name": f"{manifest['project']}: {label}",
            "size_categories": [size_category(manifest["counts"]["rows"])],
            "tags": ["preference", "human-feedback", "roundtable"],
            "configs": [{"config_name": "default", "data_files": _data_files(manifest)}],
        }
    )
    text = f"{description}\n\n" if description else ""
    counts = table(("", ""), ((what.replace("_", " "), count) for what, count in manifest["counts"].items()))
    return f"""---
{head}{features}---

# Preferences of {manifest["project"]}

{text}{export_format.description[0].upper()}{export_format.description[1:]}.
Criterion: {", ".join(manifest["criteria"])}. Judgments: {kinds}. Snapshot of {manifest["time"]}.
Licence: {cell(licence) or "not said"}.

{counts}
- Merging: {manifest["merging"]}. Ties: {manifest["tie_policy"]}. Margin: {manifest["margin"]}.
- Splits are by prompt: {manifest["split_rule"]}; salt {manifest["split_salt_id"]}.
{_near_duplicates(manifest)}- `manifest.json` has the filters and the SHA-256 of each file.
{losses}
```python
from datasets import load_dataset

dataset = load_dataset("PATH_OF_THIS_FOLDER")
```

## Figures of the snapshot

{_figures(statistics)}
{_shown(pictures)}"""


def _data_files(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    suffix = Path(manifest["files"][0]["name"]).suffix
    splits = [name for name in SPLITS if any(split_of_file(file) == name for file in manifest["files"])]
    return [{"split": name, "path": f"data/{name}-*{suffix}"} for name in splits]


def _figures(statistics: Mapping[str, Any]) -> str:
    counts, agreement, characters = (statistics[name] for name in ("counts", "agreement", "characters"))
    rows: list[tuple[str, object]] = [
        ("judgments that count", counts["counted"]),
        ("judgments superseded, withdrawn or surplus", counts["judgments"] - counts["counted"]),
        ("groups (a task, judged by one kind of annotators)", counts["groups"]),
        ("pairs", counts["pairs"]),
        ("ties among them", counts["ties"]),
        ("annotators", counts["annotators"]),
    ]
    if agreement["groups"]:
        said = f"{percent(agreement['mean'])} on {agreement['groups']:,} groups judged twice or more"
        rows.append(("agreement of annotators", said))
    if characters["median"] is not None:
        rows.append(("characters of an answer, median", f"{characters['median']:,.0f}"))
    if characters["pairs_of_two_lengths"]:
        share = characters["longer_preferred"] / characters["pairs_of_two_lengths"]
        rows.append(("the longer answer is preferred", f"{percent(share)} of decided pairs"))
    by_split = table(
        ("split", "judgments", "groups", "pairs"),
        (
            (name, *(statistics["splits"][name][what] for what in ("judgments", "groups", "pairs")))
            for name in SPLITS
            if name in statistics["splits"]
        ),
    )
    by_source = table(
        ("source", "in pairs with others", "won", "tied", "lost"),
        (
            (
                row["policy"] or row["source"],
                judged,
                *(percent(row[name] / judged) for name in ("wins", "ties", "losses")),
            )
            for row in statistics["sources"]
            if (judged := row["wins"] + row["ties"] + row["losses"])
        ),
    )
    return "\n".join(filter(None, (table(("", ""), rows), by_split, by_source)))


def _shown(pictures: Mapping[str, tuple[str, str]]) -> str:
    return "\n".join(f"![{title}]({PICTURES}/{name})\n" for name, (title, _) in pictures.items())


def _near_duplicates(manifest: Mapping[str, Any]) -> str:
    found = manifest.get("near_duplicates")
    if found is None:
        return ""
    waiting = found.get("waiting", 0)
    later = (
        f" {waiting} of the prompts were not compared yet when it was frozen and count as alone."
        if waiting
        else ""
    )
    return (
        f"- Near-duplicates share a side: {found['near_duplicates']} of the {found['prompts']} prompts with judgments "
        f"({found['share']:.1%}) are almost the same as another; {found['groups_on_two_sides']} groups of them are on "
        f"more than one side, where a file put them or they were there before.{later}\n"
    )


def texts_card(manifest: Mapping[str, Any], features: str) -> str:
    """README.md of an export of plain texts."""
    licences = table(
        ("licence", "texts"),
        ((licence or "not said", count) for licence, count in manifest["licences"].items()),
    )
    # The header has one licence: that of all of them, where they have one.
    [*known] = manifest["licences"]
    head = header(
        (licence_fields(known[0]) if len(known) == 1 else {})
        | {
            "pretty_name": f"{manifest['project']} texts",
            "size_categories": [size_category(manifest["counts"]["rows"])],
            "tags": ["pretraining", "roundtable"],
            "configs": [{"config_name": "default", "data_files": _data_files(manifest)}],
        }
    )
    return f"""---
{head}{features}---

# Texts of {manifest["project"]}

Plain texts, one document a row. As of {manifest["time"]}.

{licences}
- Splits: {manifest["split_rule"]}; salt {manifest["split_salt_id"]}.
- `manifest.json` has the SHA-256 of each file.

```python
from datasets import load_dataset

dataset = load_dataset("PATH_OF_THIS_FOLDER")
```
"""


def demonstrations_card(manifest: Mapping[str, Any], features: str) -> str:
    """README.md of an export of demonstrations."""
    head = header(
        {
            "pretty_name": f"{manifest['project']} demonstrations",
            "size_categories": [size_category(manifest["counts"]["rows"])],
            "tags": ["sft", "human-feedback", "roundtable"],
            "configs": [{"config_name": "default", "data_files": _data_files(manifest)}],
        }
    )
    losses = "".join(f"- {loss['count']} {loss['meaning']}.\n" for loss in manifest["losses"].values())
    return f"""---
{head}{features}---

# Demonstrations of {manifest["project"]}

{manifest["counts"]["rows"]} prompts with a response to imitate, one a row. As of {manifest["time"]}.

- Splits are by prompt: {manifest["split_rule"]}; salt {manifest["split_salt_id"]}.
- `manifest.json` has the SHA-256 of each file.
{losses}
```python
from datasets import load_dataset

dataset = load_dataset("PATH_OF_THIS_FOLDER")
```
"""
