"""A Hub on this machine: the part of its HTTP interface that a push uses, as huggingface_hub 2 asks it.

Repositories are plain mappings. It knows one token; what comes without it, or with another, gets 401.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

TOKEN = "hf_test_TokenOfNobody"


@dataclass
class Repository:
    visibility: str | None
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)


@dataclass
class FakeHub:
    repositories: dict[str, Repository] = field(default_factory=dict)  # by "datasets/owner/name"
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)  # beginning of "METHOD path" -> status
    on_upload: Callable[[], None] = lambda: None
    address: str = ""

    def __enter__(self) -> "FakeHub":
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def handle_request(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                path = self.path.partition("?")[0]
                hub.requests.append(f"{self.command} {path}")
                if path.startswith("/blobs/"):
                    hub.on_upload()
                body = self.rfile.read(length)
                known = self.headers.get("Authorization") == f"Bearer {TOKEN}" or path.startswith("/blobs/")
                refused = next(
                    (s for start, s in hub.refuse.items() if hub.requests[-1].startswith(start)), None
                )
                if refused or not known:
                    status, answer = refused or 401, {"error": "Refused by the test."}
                else:
                    status, answer = hub.answer(self.command, path, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                if status == 404:
                    self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = handle_request

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path.startswith("/blobs/"):
            oid = path.removeprefix("/blobs/")
            assert hashlib.sha256(body).hexdigest() == oid
            self.blobs[oid] = body
            return 200, {}
        if path == "/api/validate-yaml":
            text = json.loads(body)["content"]
            yaml.safe_load(text.split("---\n")[1])
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('type', 'model')}s/{asked['organization']}/{asked['name']}"
            self.repositories[name] = Repository(asked.get("visibility"))
            return 200, {"url": f"{self.address}/{name}"}
        if path.endswith(".git/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            return 200, {
                "transfer": "basic",
                "objects": [
                    {"oid": one["oid"], "size": one["size"]}
                    | (
                        {}
                        if one["oid"] in self.blobs
                        else {"actions": {"upload": {"href": f"{self.address}/blobs/{one['oid']}"}}}
                    )
                    for one in objects
                ],
            }
        kind, owner, name, *rest = path.removeprefix("/api/").split("/")
        found = self.repositories.get(f"{kind}/{owner}/{name}")
        if found is None:
            return 404, {"error": "Repository not found"}
        if not rest:
            return 200, {
                "id": f"{owner}/{name}", "private": found.visibility == "private", "sha": "0" * 40, "tags": [],
                "disabled": False, "gated": False, "downloads": 0, "likes": 0, "siblings": [],
            }  # fmt: skip
        if rest[0] == "preupload":
            files = json.loads(body)["files"]
            # As .gitattributes of the Hub has it: what is not text is a large file.
            large = (".parquet", ".safetensors", ".gz")
            return 200, {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(large) else "regular",
                        "shouldIgnore": False,
                        "oid": None,
                    }
                    for file in files
                ]
            }
        if rest[0] == "tree":
            return 200, [
                {"type": "file", "path": name, "size": len(content), "oid": "1"}
                for name, content in found.files.items()
            ]
        assert (method, rest[0]) == ("POST", "commit"), path
        changed = dict(found.files)
        for line in body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "header":
                found.commits.append(value["summary"])
            elif operation["key"] == "file":
                changed[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                changed[value["path"]] = self.blobs[value["oid"]]
            else:
                assert operation["key"] == "deletedFile", operation
                del changed[value["path"]]
        found.files = changed
        return 200, {
            "commitUrl": f"{self.address}/{kind}/{owner}/{name}/commit/{'c' * 40}",
            "commitOid": "c" * 40,
        }
