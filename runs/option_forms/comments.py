"""What the source of a trainer says of its options: the comment beside a field of an options class, and the comment
beside a value of a preset, which names where the value is from. Written once, read by developers and by pages.
"""

import ast
import inspect
import io
import tokenize
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Any

# Where a value of a preset stands in the configuration that the preset makes.
MOVED = {"dropout": "model.dropout"}


@cache
def field_comments(cls: type[Any]) -> Mapping[str, str]:
    """Name of a field -> what the comment at it says, for the fields that the class itself declares."""
    try:
        lines, _ = inspect.getsourcelines(cls)
    except (OSError, TypeError):  # no source beside the program
        return {}
    source = "".join(lines)
    comments = _comments(source)
    [declared] = ast.parse(source).body
    assert isinstance(declared, ast.ClassDef)
    said = {}
    for statement in declared.body:
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if text := _comment_at(comments, statement.lineno, statement.end_lineno):
            said[statement.target.id] = text
    return said


@cache
def preset_comments(*modules: ModuleType) -> Mapping[str, Mapping[str, str]]:
    """Name of a preset -> dotted path in its configuration -> where the value is from, for presets that the modules
    write as calls: `NAME = Preset(name="x", optimizer=OptimizerOptions(learning_rate=1e-5,  # section 3`.
    """
    found: dict[str, dict[str, str]] = {}
    for module in modules:
        found |= _comments_of(module)
    return found


def _comments_of(module: ModuleType) -> dict[str, dict[str, str]]:
    try:
        source = inspect.getsource(module)
    except OSError:
        return {}
    comments = _comments(source)
    found = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            values = {part.arg: part.value for part in statement.value.keywords if part.arg}
            name = values.get("name")
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                found[name.value] = dict(_given(statement.value, "", comments))
    return found


def _given(
    call: ast.Call, prefix: str, comments: Mapping[int, tuple[str, bool]]
) -> Iterator[tuple[str, str]]:
    for part in call.keywords:
        if part.arg is None:
            continue
        path = MOVED.get(prefix + part.arg, prefix + part.arg)
        if isinstance(part.value, ast.Call):
            yield from _given(part.value, f"{path}.", comments)
        elif text := _comment_at(comments, part.lineno, part.value.end_lineno):
            yield path, text


def _comments(source: str) -> dict[int, tuple[str, bool]]:
    """Line -> its comment, and whether it has the line to itself."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: (token.string.lstrip("#").strip(), token.line.lstrip().startswith("#"))
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _comment_at(comments: Mapping[int, tuple[str, bool]], first: int, last: int | None) -> str:
    """What stands above the lines, then what stands in them."""
    above: list[str] = []
    line = first - 1
    while line in comments and comments[line][1]:
        above.insert(0, comments[line][0])
        line -= 1
    beside = [comments[line][0] for line in range(first, (last or first) + 1) if line in comments]
    return " ".join([*above, *beside])
