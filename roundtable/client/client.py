"""A site of Roundtable, from a program.

from roundtable.client import Client

with Client("https://desk.example.org", token="rt_...") as desk:
    kitchen = desk.project("kitchen")
    for batch in kitchen.batches.list(state="open"):
        print(batch["name"])
"""

import os
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from roundtable.client.project import Project
from roundtable.client.resource import Resource
from roundtable.client.resources.projects import ProjectsResource
from roundtable.client.transport import Retries, Transport
from roundtable.client.types import Me
from roundtable.operations import Operation, read_operations


class Client:
    """`address`: of the site, without /api/v1. `token`: of its page “API tokens”; without one, the variable
    ROUNDTABLE_TOKEN. `timeout`: seconds without a byte. `http`: another transport of httpx, as for tests or proxies.
    """

    def __init__(
        self,
        address: str,
        token: str | None = None,
        *,
        retries: Retries | None = None,
        timeout: float = 60.0,
        http: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        token = os.environ.get("ROUNDTABLE_TOKEN", "") if token is None else token
        if not token:
            raise ValueError("Give a token, or set ROUNDTABLE_TOKEN: the site's page “API tokens” makes one.")
        self._sleep = sleep
        self._transport = Transport(
            address, token, retries=retries or Retries(), timeout=timeout, http=http, sleep=sleep
        )
        self._operations: dict[str, Operation] | None = None
        self.projects = ProjectsResource(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def me(self) -> Me:
        """Who calls, by which token, and what they may do where."""
        return self.projects.me()

    def project(self, slug: str) -> Project:
        """A project's resources. Nothing is asked yet."""
        return Project(self._transport, slug, self._sleep)

    def operations(self) -> Mapping[str, Operation]:
        """By operation id, all that this site has, from its own schema; also those that are newer than this client."""
        if self._operations is None:
            self._operations = read_operations(self._transport.read_schema())
        return self._operations

    def call(
        self,
        operation_id: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        idempotency_key: str | None = None,
        seen: Mapping[str, object] | None = None,
        **keys: Any,
    ) -> Any:
        """Any operation of the site by its id (`/api/docs/` lists them), with the keys of its address by name:

            desk.call("post_batches_id_open", slug="kitchen", id=3)

        The answer is JSON, Pages of a list, Rows of a stream, a Download of a file, or None. Raises KeyError where the
        site has no such operation or a key of its address is missing.
        """
        operation = self.operations().get(operation_id)
        if operation is None:
            raise KeyError(f"The site has no operation {operation_id}.")
        return Resource(self._transport).perform(
            operation, keys, query=query, body=body, content=content, key=idempotency_key, seen=seen
        )
