"""The columns of an export as the `dataset_info` of its dataset card.

Without it `datasets` guesses the types of JSON Lines from the first rows of each split: a column that is null all
through one split gets no type there, and the splits do not fit together any more. What is written here is what
`datasets.Features.from_arrow_schema(schema)` writes of itself; the site does not import `datasets`.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa


def features_yaml(schema: pa.Schema, map_keys: Iterable[str] = ()) -> str:
    """The block that stands in the card's header. `map_keys`: every key that the maps of the rows have; JSON
    has a map as an object, which `datasets` reads as one column a key.
    """
    keys = sorted(set(map_keys))
    return "\n".join(["dataset_info:", "  features:", *_fields(schema, keys, "  ")]) + "\n"


def _fields(fields: Iterable[pa.Field], keys: list[str], indent: str) -> Iterator[str]:
    for field in fields:
        yield f"{indent}- name: {_quoted(field.name)}"
        yield from _kind(field.type, keys, indent + "  ")


def _kind(kind: pa.DataType, keys: list[str], indent: str) -> Iterator[str]:
    if pa.types.is_list(kind):
        inner = kind.value_type
        if pa.types.is_struct(inner):
            yield f"{indent}list:"
            yield from _fields(inner, keys, indent)
        elif pa.types.is_list(inner):
            yield f"{indent}list:"
            yield from _kind(inner, keys, indent + "  ")
        else:
            yield f"{indent}list: {_name_of(inner)}"
    elif pa.types.is_map(kind):
        yield from _kind(pa.struct([pa.field(key, kind.item_type) for key in keys]), keys, indent)
    elif pa.types.is_struct(kind):
        yield f"{indent}struct:{'' if kind.num_fields else ' []'}"
        yield from _fields(kind, keys, indent)
    else:
        yield f"{indent}dtype: {_name_of(kind)}"


def _name_of(kind: pa.DataType) -> str:
    return {"double": "float64"}.get(str(kind), str(kind))


def _quoted(name: str) -> str:
    """A double-quoted YAML string: a mark may have any name."""
    plain = "".join(
        letter
        if letter.isascii() and letter.isprintable() and letter not in '"\\'
        else f"\\U{ord(letter):08x}"
        for letter in name
    )
    return f'"{plain}"'
