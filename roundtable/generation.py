"""Writes roundtable/client/resources/ from the schema of a site: a module for each kind of things, with a typed method
for each operation and the types of what is sent and answered.

    python manage.py spectacular --format openapi-json --file schema.json
    python -m roundtable.generation schema.json
    ruff format roundtable/client/resources
"""

import json
import keyword
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from roundtable.operations import Operation, success_contents, walk

FOLDER = Path(__file__).parent / "client" / "resources"
SHARED, ALL = "shared", "everything"
# Kinds that are told with another.
MODULES = {"me": "projects", "claim": "assignments", "firings": "schedules"}
# Parts of a kind that are a kind of their own: (kind, part).
PARTS = {
    ("policies", "serving"): "policy_serving",
    ("policies", "evaluations"): "policy_evaluations",
    ("policies", "benchmarks"): "policy_benchmarks",
    ("policy_trainings", "chained"): "chained_trainings",
}
# Where the rule of _method_name says little.
NAMES = {
    "get_me": "me",
    "post_claim": "claim",
    "put_assignments_public_id_draft": "save_draft",
    "post_batches_id_tasks": "add_tasks",
    "put_uploads_public_id_pieces": "send_piece",
    "post_uploads_public_id_import": "start_import",
    "post_rounds_number_continue": "start_next",
    "list_policies_id_evaluations": "list",
    "post_policies_id_evaluations": "create",
    "list_policies_id_benchmarks": "list",
    "post_policies_id_benchmarks": "create",
    "list_policy_trainings_chained": "list",
    "get_policy_trainings_chained_id": "get",
    "post_policy_trainings_chained_id_cancel": "cancel",
    "post_policy_trainings_chained_id_retry": "retry",
    "get_policies_id_serving": "get",
    "post_policies_id_serving_start": "start",
    "post_policies_id_serving_stop": "stop",
}
_HEAD = '''"""{about} Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.operations import Operation
from roundtable.client.resource import Pages, Resource
from roundtable.client.streams import Download, Rows
'''


def module_of(path: str) -> str:
    """In which module the operation of an address is: roundtable.client.resources.NAME."""
    words = path.removeprefix("/projects/{slug}/").strip("/").split("/")
    name = words[0].replace("-", "_")
    parts = [PARTS[name, word] for word in words[1:3] if (name, word) in PARTS]
    return parts[0] if parts else MODULES.get(name, name)


def class_name(module: str) -> str:
    return "".join(word.capitalize() for word in module.split("_")) + "Resource"


def generate(schema: Mapping[str, Any]) -> dict[str, str]:
    """The text of each file by its name."""
    components = schema["components"]["schemas"]
    by_module: dict[str, list[tuple[Operation, Mapping[str, Any]]]] = defaultdict(list)
    for operation, described in walk(schema):
        by_module[module_of(operation.path)].append((operation, described))
    needed = {
        module: _components_of([described for _, described in found], components)
        for module, found in by_module.items()
    }
    users: dict[str, set[str]] = defaultdict(set)
    for module, names in needed.items():
        for name in names:
            users[name].add(module)
    shared = sorted(name for name, modules in users.items() if len(modules) > 1)
    files = {f"{SHARED}.py": _shared(shared, components)}
    for module, found in sorted(by_module.items()):
        own = [name for name in sorted(needed[module]) if name not in shared]
        files[f"{module}.py"] = _module(
            module, found, own, [name for name in shared if name in needed[module]], components
        )
    files[f"{ALL}.py"] = _all_resources(sorted(by_module))
    files["../types.py"] = _all_types(files)
    return files


def _shared(names: list[str], components: Mapping[str, Any]) -> str:
    head = _HEAD.format(about="Types of several resources.").split("\nfrom roundtable")[0]
    text = head + "".join(_typed_dict(name, components[name]) for name in names)
    return _without_unused_imports(text)


def _module(
    module: str,
    found: list[tuple[Operation, Mapping[str, Any]]],
    own: list[str],
    shared: list[str],
    components: Mapping[str, Any],
) -> str:
    lines = [_HEAD.format(about=f"{module.replace('_', ' ').capitalize()}.")]
    if shared:
        lines.append(f"from roundtable.client.resources.{SHARED} import {', '.join(shared)}\n")
    lines += [_typed_dict(name, components[name]) for name in own]
    methods, queries = [], []
    taken: set[str] = set()
    for operation, described in found:
        name = _method_name(operation, module, {other.path for other, _ in found if other.method == "GET"})
        if name in taken:
            name = operation.id
        taken.add(name)
        query = [each for each in described.get("parameters", []) if each["in"] == "query"]
        query_name = "".join(word.capitalize() for word in operation.id.split("_")) + "Query"
        if query:
            queries.append(_query_type(query_name, operation, query))
        methods.append(_method(name, operation, described, query_name if query else None))
    lines += queries
    lines.append(f"\n\nclass {class_name(module)}(Resource):\n" + "\n".join(methods))
    return _without_unused_imports("".join(lines))


def _all_resources(modules: list[str]) -> str:
    """Names and classes, for the client to hold one of each."""
    imports = "".join(
        f"from roundtable.client.resources.{module} import {class_name(module)}\n" for module in modules
    )
    fields = "".join(
        f"        self.{module} = {class_name(module)}(transport, slug)\n"
        for module in modules
        if module != "projects"
    )
    return (
        '"""All resources. Written by roundtable.generation from the API\'s schema: do not edit."""\n\n'
        f"{imports}from roundtable.client.transport import Transport\n\n\n"
        "class ProjectResources:\n"
        '    """The resources of one project."""\n\n'
        f"    def __init__(self, transport: Transport, slug: str) -> None:\n{fields}"
        f'\n\n__all__ = ["ProjectResources", "{class_name("projects")}"]\n'
    )


def _all_types(files: Mapping[str, str]) -> str:
    """One place to import any type from."""
    imports, names, indent = [], [], " " * 4
    for file, text in files.items():
        found = re.findall(r"^class (\w+)\(TypedDict\)", text, flags=re.M)
        if found:
            module = file.removesuffix(".py")
            # Filled lines: with a name a line the file grows with every type.
            listed = textwrap.fill(
                f"{', '.join(found)},", 110, initial_indent=indent, subsequent_indent=indent
            )
            imports.append(f"from roundtable.client.resources.{module} import (\n{listed}\n)  # fmt: skip\n")
            names += found
    listed = textwrap.fill(
        json.dumps(sorted(names))[1:-1], 110, initial_indent=indent, subsequent_indent=indent
    )
    return (
        '"""The types of what the API takes and answers. Written by roundtable.generation from its schema: do not '
        f'edit."""\n\n# ruff: noqa: I001\n{"".join(imports)}\n__all__ = [\n{listed},\n]  # fmt: skip\n'
    )


def _components_of(described: Any, components: Mapping[str, Any]) -> set[str]:
    """Names of those that the answers, bodies and parameters use, directly or in one another."""
    found: set[str] = set()
    waiting = [described]
    while waiting:
        for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(waiting.pop())):
            if name not in found and name != "Problem":
                found.add(name)
                waiting.append(components[name])
    return {name for name in found if not _is_page(components[name])}


def _is_page(component: Mapping[str, Any]) -> bool:
    return set(component.get("properties", {})) == {"results", "next", "next_cursor"}


def _method_name(operation: Operation, module: str, readable: set[str]) -> str:
    if operation.id in NAMES:
        return NAMES[operation.id]
    words = operation.path.removeprefix("/projects/{slug}/").strip("/").split("/")
    first, rest = words[0].replace("-", "_"), words[1:]
    verbs = {
        "GET": "list" if operation.answer == "page" else "get",
        "POST": "create",
        "PUT": "put",
        "PATCH": "update",
        "DELETE": "delete",
    }
    named = [word.replace("-", "_") for word in rest if not word.startswith("{")]
    if not named:
        name = verbs[operation.method]
    else:
        name = "_".join(named)
        if operation.method == "GET" and rest[-1].startswith("{"):
            name = name.removesuffix("s")
        elif operation.method != "GET" and (operation.method != "POST" or operation.path in readable):
            name = f"{verbs[operation.method]}_{name}"
    if first != module:
        name = f"{name}_{first.removesuffix('s')}"
    return f"{name}_" if keyword.iskeyword(name) else name


def _keys(operation: Operation) -> list[str]:
    names = re.findall(r"\{(\w+)\}", operation.path)
    return names if operation.path == "/projects/{slug}" else [name for name in names if name != "slug"]


def _method(name: str, operation: Operation, described: Mapping[str, Any], query: str | None) -> str:
    kinds = {each["name"]: each["schema"] for each in described.get("parameters", []) if each["in"] == "path"}
    keys = _keys(operation)
    arguments = ["self", *(f"{key}: {_type(kinds[key])}" for key in keys)]
    passed = ["{" + ", ".join(f'"{key}": {key}' for key in keys) + "}"]
    content = described.get("requestBody", {}).get("content", {})
    body = content.get("application/json", {}).get("schema")
    body_type = body["$ref"].rpartition("/")[2] if body and "$ref" in body else None
    if "application/octet-stream" in content:
        arguments.append("content: bytes")
        passed.append("content=content")
    if body is not None and body_type is None:
        arguments.append(f"body: {_type(body)}")
        passed.append("body=body")
    if operation.keyed or operation.compares or (query and body_type):
        arguments.append("*")
    if operation.keyed:
        arguments.append("idempotency_key: str | None = None")
        passed.append("key=idempotency_key")
    if operation.compares:
        arguments.append("seen: Mapping[str, object] | None = None")
        passed.append("seen=seen")
    if query and body_type:
        arguments.append(f"query: {query} | None = None")
        passed.append("query=cast(Mapping[str, Any] | None, query)")
    elif query:
        arguments.append(f"**query: Unpack[{query}]")
        passed.append("query=cast(Mapping[str, Any], query)")
    if body_type:
        arguments.append(f"**body: Unpack[{body_type}]")
        passed.append("body=body")
    answer = _answer_type(operation, described)
    what = [repr(operation.id), repr(operation.method), repr(operation.path), f"answer={operation.answer!r}"]
    if operation.keyed:
        what.append("keyed=True")
    if operation.reads:
        what.append("reads=True")
    if operation.compares:
        what.append("compares=True")
    call = f"self.perform(Operation({', '.join(what)}), {', '.join(passed)})"
    done = call if answer == "None" else f"return cast({answer}, {call})"
    text = _sentence(described)
    return (
        f'    def {name}({", ".join(arguments)}) -> {answer}:\n        """{text}"""\n        {done}\n'
    ).replace("'", '"' if "'" not in text else "'")


def _sentence(described: Mapping[str, Any]) -> str:
    text = described.get("summary", "").strip().replace('"', "”")
    return "\n        ".join(_wrapped(text))


def _wrapped(text: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > 100:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


def _answer_type(operation: Operation, described: Mapping[str, Any]) -> str:
    match operation.answer:
        case "nothing":
            return "None"
        case "rows":
            return "Rows"
        case "file":
            return "Download"
    names = [
        _type(content["application/json"]["schema"]) for content in success_contents(described) if content
    ]
    name = " | ".join(dict.fromkeys(names))
    return f"Pages[{name.removesuffix('Page')}]" if operation.answer == "page" else name


def _query_type(name: str, operation: Operation, parameters: list[Mapping[str, Any]]) -> str:
    left_out = {"cursor"} if operation.answer == "page" else set()
    if operation.answer == "rows":
        left_out = {"format", "end"}
    return _fields(
        name,
        {each["name"]: each["schema"] for each in parameters if each["name"] not in left_out},
        {each["name"] for each in parameters if each.get("required")},
    )


def _typed_dict(name: str, component: Mapping[str, Any]) -> str:
    if component.get("type") != "object":
        return f"\n\n{name} = {_type(component)}\n"
    return _fields(name, component.get("properties", {}), set(component.get("required", [])))


def _fields(name: str, properties: Mapping[str, Any], required: set[str]) -> str:
    if any(not each.isidentifier() or keyword.iskeyword(each) for each in properties):
        raise ValueError(f"{name} has a field that is no name in Python: {list(properties)}")
    lines = [
        f"    {each}: {kind if each in required else f'NotRequired[{kind}]'}\n"
        for each, kind in ((each, _type(inner)) for each, inner in properties.items())
    ]
    return f"\n\nclass {name}(TypedDict):\n" + ("".join(lines) or "    pass\n")


def _type(schema: Mapping[str, Any]) -> str:
    kind = _bare_type(schema)
    return f"{kind} | None" if schema.get("nullable") and kind != "Any" and "None" not in kind else kind


def _bare_type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    for union in ("allOf", "oneOf", "anyOf"):
        if union in schema:
            return " | ".join(dict.fromkeys(map(_type, schema[union])))
    if "enum" in schema:
        values = [value for value in schema["enum"] if value is not None]
        return f"Literal[{', '.join(json.dumps(value) for value in values)}]"
    match schema.get("type"):
        case "string":
            return "bytes" if schema.get("format") == "binary" else "str"
        case "integer":
            return "int"
        case "number":
            return "float"
        case "boolean":
            return "bool"
        case "array":
            return f"list[{_type(schema.get('items', {}))}]"
        case "object":
            inner = schema.get("additionalProperties")
            return f"dict[str, {_type(inner) if isinstance(inner, dict) else 'Any'}]"
    return "Any"


def _without_unused_imports(text: str) -> str:
    """Of the names that _HEAD imports, those that are used."""

    def kept(found: re.Match[str]) -> str:
        names = [
            name
            for name in found[2].split(", ")
            if len(re.findall(rf"\b{name}\b", text)) > 1 or name == "annotations"
        ]
        return f"from {found[1]} import {', '.join(names)}\n" if names else ""

    return re.sub(r"^from ((?!roundtable\.client\.resources)[\w.]+) import (.+)\n", kept, text, flags=re.M)


def write(schema: Mapping[str, Any]) -> None:
    files = generate(schema)
    for path in FOLDER.glob("*.py"):
        if path.name not in files and path.name != "__init__.py":
            path.unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
