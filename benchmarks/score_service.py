"""A reward model as a service: requests a second and their times, beside the command `score` on the same rows.

    .venv/bin/python benchmarks/score_service.py [--seconds 15] [--clients 1 10 50]
    .venv/bin/python benchmarks/score_service.py --transport

A site of its own (SQLite, `manage.py serve`, one worker) serves a model of random weights; each client asks for the
rewards of one prompt's responses, waits for the answer and asks for the next one. `--transport` compares what could
carry a request from the site to the scorer, with a scorer that answers at once: HTTP, and rows of the database.
The last line is JSON.
"""

import argparse
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from load.our_site import OurSite

ROOT = Path(__file__).resolve().parents[1]
PROMPTS, RESPONSES = 256, 4
POLL_SECONDS = 0.01  # of both sides of a queue of rows


def rows(count: int = PROMPTS) -> list[dict[str, Any]]:
    """Prompts of about 60 to 250 tokens, four responses of 15 to 125 to each."""
    chance = random.Random(0)

    def words(low: int, high: int) -> str:
        return " ".join(chance.choice(WORDS) for _ in range(chance.randint(low, high)))

    return [
        {
            "messages": [{"role": "user", "content": words(60, 250)}],
            "responses": [words(15, 125) for _ in range(RESPONSES)],
        }
        for _ in range(count)
    ]


WORDS = [f"{a}{b}" for a in "bdfgklmnprst" for b in ("an", "el", "ir", "od", "um", "a", "e", "i", "o", "u")]


def fill(width: int, layers: int) -> None:
    """In the environment of the site: a project, a token, a reward model. Prints what a client needs."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    import torch
    from django.conf import settings
    from django.utils import timezone

    from annotation.models import PreferenceDataset
    from learning.interface.options import options_to_dict
    from learning.interface.training_options import BatchOptions, ModelArchitecture, ModelSource
    from learning.models.files import save_model
    from learning.models.loading import load_reward_model
    from learning.models.tokenization import train_tokenizer
    from rewardmodel.models import RewardModel
    from runs.actions import register_artifact
    from runs.models import Artifact, Run
    from workspace.actions import create_project
    from workspace.models import User
    from workspace.tokens.actions import create_token

    torch.manual_seed(0)
    tokenizer = train_tokenizer([" ".join(WORDS)] * 4, 1024)
    shape = ModelArchitecture(
        hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers, max_position_embeddings=2048
    )
    folder = settings.DATA_DIR / "models" / "bench"
    save_model(load_reward_model(ModelSource(from_scratch=shape), tokenizer), tokenizer, folder)
    user = User.objects.create_user("bench")
    project = create_project(actor=user, name="Bench")
    run = Run.objects.create(
        project=project, kind="rewardmodel.train", title="Train", requested_by=user, state="done",
        config={"batch": options_to_dict(BatchOptions(max_prompt_tokens=1024, max_response_tokens=512))},
        finished_at=timezone.now(),
    )  # fmt: skip
    model = RewardModel.objects.create(
        project=project,
        name="bench",
        artifact=register_artifact(actor=user, project=project, kind=Artifact.Kind.REWARD_MODEL, path=folder),
        dataset=PreferenceDataset.objects.create(project=project, name="none", created_by=user),
        produced_by=run,
    )
    _, token = create_token(actor=user, project=project, name="bench", scope="read", role="manager", days=1)
    print(json.dumps({"token": token, "model": model.pk, "folder": str(folder)}))


def by_file(folder: Path, model: str) -> dict[str, float]:
    """The command on all rows in one go: responses a second, with its start and without."""
    sys.path.insert(0, str(ROOT))
    from learning.interface.record_schemas import RESPONSES as SCHEMA
    from learning.interface.run_directory import RunDirectory

    records = [
        {
            "response_id": f"{number}-{index}", "prompt_id": str(number), "prompt": row["messages"], "text": text,
            "source": "bench", "policy": None, "sampling": None, "created_at": "2026-01-01T00:00:00Z",
        }
        for number, row in enumerate(rows())
        for index, text in enumerate(row["responses"])
    ]  # fmt: skip
    times = {}
    for name, some in (("start", records[:RESPONSES]), ("all", records)):
        path = folder / f"run-{name}"
        RunDirectory.create(
            path,
            command="rewardmodel.training.score",
            config={"model_path": model, "batch": {"max_prompt_tokens": 1024, "max_response_tokens": 512}},
            inputs={"responses": (some, SCHEMA)},
        )
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "rewardmodel.training.score", str(path)],
            cwd=ROOT, check=True, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        times[name] = time.perf_counter() - began
    return {
        "file_s": times["all"],
        "file_start_s": times["start"],
        "file_responses_per_s": (len(records) - RESPONSES) / max(1e-9, times["all"] - times["start"]),
    }


def drive(clients: int, seconds: float, ask: Callable[[int], bool]) -> dict[str, float]:
    """So many clients at once; `ask` is one request by its number and says whether it was answered."""
    taken: list[float] = []
    refused = 0
    lock, end = threading.Lock(), time.perf_counter() + seconds

    def client(number: int) -> None:
        nonlocal refused
        while (began := time.perf_counter()) < end:
            answered = ask(number)
            with lock:
                if answered:
                    taken.append(time.perf_counter() - began)
                else:
                    refused += 1
            number += clients

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    cuts = statistics.quantiles(taken, n=20) if len(taken) > 1 else [float("nan")] * 19
    return {
        "clients": clients,
        "requests_per_s": len(taken) / wall,
        "p50_ms": 1000 * cuts[9],
        "p95_ms": 1000 * cuts[18],
        "refused": refused,
    }


def service(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        site = OurSite(Path(temporary) / "site")
        site.environment |= {
            "ROUNDTABLE_API_REQUESTS_PER_MINUTE": "1000000",
            "ROUNDTABLE_RUN_MIN_FREE_DISK_MB": "0",
        }
        with site:
            told = json.loads(
                site.run(
                    str(Path(__file__)),
                    "--fill",
                    "--width",
                    str(arguments.width),
                    "--layers",
                    str(arguments.layers),
                ).splitlines()[-1]
            )
            found: dict[str, Any] = by_file(Path(temporary), told["folder"])
            worker = subprocess.Popen(
                [sys.executable, "manage.py", "worker"],
                cwd=ROOT,
                env=site.environment,
                stdout=subprocess.DEVNULL,
            )
            try:
                site.start()
                together = arguments.prompts
                bodies = [
                    json.dumps({"prompts": rows()[start : start + together]}).encode()
                    for start in range(0, PROMPTS, together)
                ]
                address = (
                    f"http://127.0.0.1:{site.port}/api/v1/projects/bench/reward-models/{told['model']}/score"
                )

                def ask(number: int) -> bool:
                    request = urllib.request.Request(
                        address,
                        bodies[number % len(bodies)],
                        {"Authorization": f"Bearer {told['token']}", "Content-Type": "application/json"},
                    )
                    try:
                        with urllib.request.urlopen(request, timeout=120) as answer:
                            return len(json.load(answer)["rewards"]) == together * RESPONSES
                    except urllib.error.HTTPError as error:
                        if error.code not in (429, 503):
                            raise
                        time.sleep(min(1.0, float(error.headers.get("Retry-After", "1"))))
                        return False

                began = time.perf_counter()
                while not ask(0):
                    pass
                found["first_answer_s"] = time.perf_counter() - began
                found["service"] = [drive(clients, arguments.seconds, ask) for clients in arguments.clients]
            finally:
                worker.terminate()
                worker.wait()
    return found


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class EchoServer(ThreadingHTTPServer):
    request_queue_size = 128


def echo_server() -> None:
    server = EchoServer(("127.0.0.1", 0), Echo)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def row_server(path: str) -> None:
    """Answers every row that waits, and looks again after POLL_SECONDS."""
    database = sqlite3.connect(path, timeout=20, isolation_level=None)
    while True:
        waiting = database.execute("SELECT id, body FROM request WHERE answer IS NULL").fetchall()
        if waiting:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(
                "UPDATE request SET answer = ? WHERE id = ?", [(body, key) for key, body in waiting]
            )
            database.execute("COMMIT")
        else:
            time.sleep(POLL_SECONDS)


def transport(arguments: argparse.Namespace) -> dict[str, Any]:
    body = json.dumps(rows(1)[0]).encode()
    found: dict[str, Any] = {"body_bytes": len(body)}
    echo = subprocess.Popen([sys.executable, __file__, "--echo-server"], stdout=subprocess.PIPE, text=True)
    assert echo.stdout is not None
    address = f"http://127.0.0.1:{int(echo.stdout.readline())}/"

    def by_http(number: int) -> bool:
        with urllib.request.urlopen(address, body, timeout=60) as answer:
            return bool(answer.read() == body)

    try:
        found["http"] = [drive(clients, arguments.seconds, by_http) for clients in arguments.clients]
    finally:
        echo.kill()
        echo.wait()
    with tempfile.TemporaryDirectory() as temporary:
        path = str(Path(temporary) / "queue.sqlite3")
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE request (id TEXT PRIMARY KEY, body BLOB, answer BLOB)")
        process = subprocess.Popen([sys.executable, __file__, "--row-server", path])
        local = threading.local()

        def by_rows(number: int) -> bool:
            if not hasattr(local, "database"):
                local.database = sqlite3.connect(path, timeout=20, isolation_level=None)
                local.database.execute("PRAGMA synchronous=NORMAL")
            key = uuid.uuid4().hex
            local.database.execute("INSERT INTO request (id, body) VALUES (?, ?)", (key, body))
            while True:
                [answer] = local.database.execute(
                    "SELECT answer FROM request WHERE id = ?", (key,)
                ).fetchone()
                if answer is not None:
                    local.database.execute("DELETE FROM request WHERE id = ?", (key,))
                    return bool(answer == body)
                time.sleep(POLL_SECONDS)

        try:
            found["rows"] = [drive(clients, arguments.seconds, by_rows) for clients in arguments.clients]
        finally:
            process.kill()
            process.wait()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument(
        "--prompts", type=int, default=1, help="of a request, each with 4 responses; divides 256"
    )
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--transport", action="store_true")
    parser.add_argument("--fill", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--row-server", help=argparse.SUPPRESS)
    parser.add_argument("--echo-server", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fill:
        fill(arguments.width, arguments.layers)
    elif arguments.row_server:
        row_server(arguments.row_server)
    elif arguments.echo_server:
        echo_server()
    else:
        found = transport(arguments) if arguments.transport else service(arguments)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
