"""A Hub on this machine: the part of its HTTP interface by which datasets are read, as huggingface_hub 2 asks it."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "1" * 40


class ReadingHub:
    """`files`: by the dataset's id, by path. `token`: what is asked for, if anything is."""

    def __init__(self, files: dict[str, dict[str, bytes]], token: str = "") -> None:
        self.files, self.token = files, token
        self.requests: list[tuple[str, str]] = []  # method and path, and what came as Authorization
        self.address = ""

    def __enter__(self) -> "ReadingHub":
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: Any) -> None:
                pass

            def handle_request(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = unquote(self.path.partition("?")[0])
                authorization = self.headers.get("Authorization") or ""
                hub.requests.append((f"{self.command} {path}", authorization))
                if hub.token and authorization != f"Bearer {hub.token}":
                    self.send(
                        401, b'{"error": "Invalid username or password."}', {"X-Error-Code": "RepoNotFound"}
                    )
                else:
                    self.send(*hub.answer(path, body))

            def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                always = {"X-Repo-Commit": COMMIT, "Content-Length": str(len(content))}
                for name, value in (always | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = handle_request

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        parts = path.strip("/").split("/")
        is_api = parts[0] == "api"
        owner_and_name = parts[2:4] if is_api else parts[1:3]
        rest = parts[4:] if is_api else parts[3:]
        files = self.files.get("/".join(owner_and_name))
        if files is None:
            return 404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"}
        listed = [
            {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for name, content in sorted(files.items())
        ]
        if not is_api:  # resolve/REVISION/PATH
            content = files.get("/".join(rest[2:]))
            if content is None:
                return 404, b"", {"X-Error-Code": "EntryNotFound"}
            return 200, content, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        if not rest or rest[0] == "revision":
            about = {
                "id": "/".join(owner_and_name), "private": False, "sha": COMMIT, "tags": [], "disabled": False,
                "gated": False, "downloads": 0, "likes": 0,
                "siblings": [{"rfilename": one["path"], "size": one["size"]} for one in listed],
            }  # fmt: skip
            return 200, json.dumps(about).encode(), {"Content-Type": "application/json"}
        if rest[0] == "paths-info":
            asked = [unquote(one) for one in json.loads(body)["paths"]] if body.startswith(b"{") else []
            found = [one for one in listed if one["path"] in asked]
            return 200, json.dumps(found).encode(), {"Content-Type": "application/json"}
        if rest[0] == "tree":
            inside = "/".join(rest[2:])
            found = [one for one in listed if not inside or one["path"].startswith(f"{inside}/")]
            return 200, json.dumps(found).encode(), {"Content-Type": "application/json"}
        return 404, b'{"error": "not known"}', {}
