"""The API of a site of Roundtable from Python: docs/api.md."""

from roundtable.client.client import Client
from roundtable.client.errors import (
    ApiError,
    Conflict,
    ConnectionLost,
    InvalidRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    RoundtableError,
    ServerFault,
    StaleVersion,
    StreamCut,
    TooManyRequests,
    WaitedTooLong,
    WorkFailed,
)
from roundtable.client.project import Project
from roundtable.client.resource import Pages
from roundtable.client.streams import Download, Rows
from roundtable.client.transport import Retries

__all__ = [
    "ApiError",
    "Client",
    "Conflict",
    "ConnectionLost",
    "Download",
    "InvalidRequest",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "Pages",
    "Project",
    "Retries",
    "RoundtableError",
    "Rows",
    "ServerFault",
    "StaleVersion",
    "StreamCut",
    "TooManyRequests",
    "WaitedTooLong",
    "WorkFailed",
]
