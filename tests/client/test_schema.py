"""The client beside the schema of the API: all of it can be reached, and nothing is called that is not there."""

import importlib
import inspect
import pkgutil
import re
import typing
import warnings

import httpx
import pytest
from drf_spectacular.generators import SchemaGenerator

import roundtable.client.resources
from roundtable.generation import generate

HOW = (
    "Run `manage.py spectacular --format openapi-json --file schema.json`, "
    "`python -m roundtable.generation schema.json` and `ruff format roundtable`."
)


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(request=None, public=True)


@pytest.fixture(scope="module")
def operations(schema):
    """(method, path) by operation id, as the schema has them."""
    return {
        described["operationId"]: (method.upper(), path)
        for path, methods in schema["paths"].items()
        for method, described in methods.items()
        if path.startswith("/api/v1/")
    }


def answer_anything(sent, schema=None):
    def answer(request):
        if request.url.path == "/api/schema/":
            return httpx.Response(200, json=schema)
        sent.append((request.method, request.url.path))
        return httpx.Response(200, json={"results": [], "next": None, "next_cursor": None})

    return answer


def consume(answer):
    """Lists, streams and files are asked for when they are read."""
    if hasattr(answer, "read"):
        answer.read()
    elif hasattr(answer, "__iter__") and not isinstance(answer, dict):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("roundtable.client.streams.END", "results")  # any answer will do
            try:
                list(answer)
            except Exception:
                return


def test_any_operation_is_reached_by_its_id(make_client, schema, operations):
    sent = []
    client = make_client(answer_anything(sent, schema))
    assert set(client.operations()) == set(operations) and len(operations) > 90
    wrong = []
    for name, (method, path) in operations.items():
        keys = {key: f"key-of-{key}" for key in re.findall(r"\{(\w+)\}", path)}
        sent.clear()
        body = None if method in ("GET", "DELETE") else {}
        consume(client.call(name, body=body, **keys))
        if sent != [(method, path.format(**keys))]:
            wrong.append((name, sent))
    assert wrong == []
    with pytest.raises(KeyError, match="get_nothing"):
        client.call("get_nothing")
    with pytest.raises(KeyError, match="id"):
        client.call("get_batches_id", slug="kitchen")


def methods_of(client):
    """(name, bound method) of all that the client offers for single operations."""
    resources = {"projects": client.projects} | {
        name: value for name, value in vars(client.project("kitchen")).items() if hasattr(value, "perform")
    }
    for where, resource in resources.items():
        for name, method in inspect.getmembers(resource, inspect.ismethod):
            if not name.startswith("_") and name != "perform":
                yield f"{where}.{name}", method


def example_of(annotation):
    if annotation in ("int", int):
        return 7
    if annotation in ("bytes", bytes):
        return b"x"
    return {} if "dict" in str(annotation) else "word"


def test_every_method_calls_an_operation_that_is_there(make_client, operations):
    """By what it sends. An operation without a method of its own is no fault: `call` reaches it."""
    sent, stale, reached = [], [], set()
    for name, method in methods_of(make_client(answer_anything(sent))):
        arguments = [
            example_of(parameter.annotation)
            for parameter in inspect.signature(method).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        sent.clear()
        consume(method(*arguments))
        assert len(sent) == 1, name
        found = {
            key: path.count("{")
            for key, (verb, path) in operations.items()
            if verb == sent[0][0] and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), sent[0][1])
        }
        # /judgments/rows also looks like /judgments/{id}.
        exact = [key for key, keys in found.items() if keys == min(found.values())]
        reached |= set(exact)
        if not found:
            stale.append((name, *sent))
    assert stale == [], f"The client calls what the API does not have any more. {HOW}"
    if missing := sorted(set(operations) - reached):
        warnings.warn(f"The client has no method of its own for {', '.join(missing)}. {HOW}", stacklevel=1)
    assert len(reached) > 90


def test_what_takes_if_match_takes_what_was_seen(make_client, schema):
    """By its id and by a method of its own; nothing else does."""
    client = make_client(answer_anything([], schema))
    comparing = {
        described["operationId"]
        for methods in schema["paths"].values()
        for described in methods.values()
        if "If-Match" in {parameter["name"] for parameter in described.get("parameters", [])}
    }
    found = {name for name, operation in client.operations().items() if operation.compares}
    assert found == comparing and {"patch_projects_slug", "patch_datasets_id"} <= found
    methods = [name for name, method in methods_of(client) if "seen" in inspect.signature(method).parameters]
    assert len(methods) == len(comparing), HOW
    with pytest.raises(ValueError, match="takes no `seen`"):
        client.call("get_batches_id", slug="kitchen", id=3, seen={})


def test_no_type_has_a_field_that_the_schema_does_not_know(schema):
    components = schema["components"]["schemas"]
    stale, seen = [], 0
    for module in pkgutil.iter_modules(roundtable.client.resources.__path__):
        found = vars(importlib.import_module(f"roundtable.client.resources.{module.name}"))
        for name, value in found.items():
            if typing.is_typeddict(value) and not name.endswith("Query"):
                seen += 1
                known = set(components.get(name, {}).get("properties", {}))
                stale += [f"{name}.{field}" for field in set(value.__annotations__) - known]
    assert stale == [], HOW
    assert seen > 50


def test_what_is_written_is_python_whatever_is_added(schema):
    """All of it, as it would be written now; an operation whose name says nothing new gets its id as name."""
    for name, text in generate(schema).items():
        compile(text, name, "exec")
