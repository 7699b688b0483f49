"""The language model that judges on the site of the reports: a server of the chat protocol that the demonstration's
simulated judge answers for, so that no model of somebody else is asked.

It draws its noise anew for each order of two answers, so that it contradicts itself at times, as models do.
"""

import json
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from demo.gold_judge import judge

NAME, MODEL = "simulated", "simulated-judge"
NOISE = 0.7  # less than people's: it is one judge, who always looks for the same


def verdict(messages: list[dict[str, Any]]) -> str:
    """A, B or TIE of what policy_training.training.rewards.judging.messages_for wrote."""
    lines = messages[-1]["content"].splitlines()
    conversation, first, second = (json.loads(line.partition(": ")[2]) for line in lines[1:-1])
    chance = random.Random(json.dumps([conversation, first, second]))
    found = judge(conversation, [first, second], chance, noise=NOISE)
    return "TIE" if len(found.tiers) == 1 else "AB"[found.tiers[0][0]]


def reply(body: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens are counted as words: it has no tokenizer."""
    said = json.dumps({"verdict": verdict(body["messages"])})
    read = sum(len(message["content"].split()) for message in body["messages"])
    return {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": read, "completion_tokens": len(said.split())},
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = json.dumps(reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass  # a request for each verdict says nothing that the run's log does not


@contextmanager
def judge_server() -> Iterator[dict[str, str]]:
    """The environment in which the site knows it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {
            "ROUNDTABLE_MODEL_SERVERS": f"{NAME}=http://127.0.0.1:{server.server_port}/v1",
            "ROUNDTABLE_MODEL_SERVERS_PRIVATE_ADDRESSES": "127.0.0.0/8",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
