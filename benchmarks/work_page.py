"""The annotator's page in a real browser: what it weighs, and how long the next task takes to be painted after Enter.

.venv/bin/python benchmarks/work_page.py [--judgments 100] [--characters 2000] [--chromium /usr/bin/chromium]

A site of its own in a temporary folder (SQLite, one web worker) with pairs of two answers of `--characters` each. Bytes
are those that the network carried, headers included (Network.loadingFinished.encodedDataLength). Times run from the
timestamp of the Enter key to the second animation frame after the next task is in the document: then it is painted.
The last line is JSON.
"""

import argparse
import json
import os
import random
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = secrets.token_urlsafe(16)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
FLAGS += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
THINKING_SECONDS = 0.8  # what an idle annotator takes; the next task is there long before

# Runs in the page before its own scripts.
STOPWATCH = """
(() => {
  let pressed = 0;
  const shown = () => { const t = document.querySelector('.task'); return t ? t.dataset.publicId : null; };
  window.addEventListener('keydown', (event) => { if (event.key === 'Enter') pressed = event.timeStamp; }, true);
  window.nextTaskIsPainted = () => new Promise((resolve) => {
    const before = shown();
    new MutationObserver((_, observer) => {
      const now = shown();
      if (!now || now === before) return;
      observer.disconnect();
      const inDocument = performance.now() - pressed;
      requestAnimationFrame(() => requestAnimationFrame(() => {
        resolve({ inDocument, painted: performance.now() - pressed });
      }));
    }).observe(document.getElementById('work-page-task'), { childList: true });
  });
})();
"""


def words(characters: int, randomness: random.Random) -> str:
    """Prose that compresses as prose does: words of a fixed vocabulary, drawn by rank as in a text."""
    vocabulary = [
        "".join(randomness.choice("etaoinshrdlucmfwyp") for _ in range(randomness.randint(2, 9)))
        for _ in range(4000)
    ]
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    paragraphs: list[str] = []
    while sum(map(len, paragraphs)) < characters:
        paragraphs.append(" ".join(randomness.choices(vocabulary, weights, k=60)).capitalize() + ".")
    return "\n\n".join(paragraphs)[:characters]


def make_site(tasks: int, characters: int) -> str:
    """The database with an annotator and `tasks` pairs; returns the path of the work page."""
    import django

    django.setup()
    from django.urls import reverse

    from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
    from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
    from workspace.actions import create_project
    from workspace.members import set_role
    from workspace.models import User

    randomness = random.Random(0)
    manager = User.objects.create_user(username="manager", password=PASSWORD)
    annotator = User.objects.create_user(username="annotator", password=PASSWORD)
    guideline = "# What helps\n\n" + words(1500, randomness)
    project = create_project(actor=manager, name="Measured", guideline=guideline)
    set_role(actor=manager, project=project, user=annotator, role="annotator")
    batch = create_batch(
        actor=manager,
        project=project,
        criterion=project.criteria.get(),
        name="Pairs",
        responses_per_task=2,
        overlap=1,
    )
    rows = [
        {"messages": [{"role": "user", "content": f"{number}: {words(300, randomness)}"}]}
        for number in range(tasks)
    ]
    prompts = add_prompts(actor=manager, project=project, rows=rows)
    source = get_or_create_source(actor=manager, project=project, kind="policy", name="measured")
    texts = [words(characters, randomness) for _ in range(2 * tasks)]
    responses = add_responses(
        actor=manager,
        project=project,
        rows=[
            NewResponse(prompt=prompt, source=source, text=texts[2 * number + side])
            for number, prompt in enumerate(prompts)
            for side in range(2)
        ],
    )
    new_tasks = [
        NewTask(prompt=prompt, responses=responses[2 * number :][:2]) for number, prompt in enumerate(prompts)
    ]
    add_tasks(actor=manager, batch=batch, tasks=new_tasks)
    open_batch(actor=manager, batch=batch)
    return reverse("annotation:annotate", kwargs={"slug": project.slug})


@contextmanager
def served(environment: dict[str, str]) -> Iterator[str]:
    """The site under granian; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "granian"), "--interface", "wsgi", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "config.wsgi:application"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/login/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


class Traffic:
    """Bytes over the network, by address."""

    def __init__(self, context: Any, page: Any) -> None:
        self.total = 0
        self.by_address: dict[str, int] = {}
        addresses: dict[str, str] = {}
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.on(
            "Network.requestWillBeSent", lambda e: addresses.update({e["requestId"]: e["request"]["url"]})
        )
        session.on("Network.loadingFinished", lambda e: self._add(addresses.get(e["requestId"], ""), e))

    def _add(self, address: str, event: dict[str, Any]) -> None:
        size = round(event["encodedDataLength"])
        self.total += size
        self.by_address[address] = self.by_address.get(address, 0) + size

    def clear(self) -> None:
        self.total = 0
        self.by_address = {}


def judge(page: Any, count: int, pause: float) -> list[dict[str, float]]:
    """`count` judgments by key; how long each took to the next task."""
    times = []
    for number in range(count):
        if pause:
            page.wait_for_timeout(1000 * pause)
        page.evaluate("window.arrival = window.nextTaskIsPainted(); null")
        page.keyboard.press("12345678"[number % 8])
        page.keyboard.press("Enter")
        times.append(page.evaluate("window.arrival"))
    return times


def summary(times: list[dict[str, float]], name: str) -> dict[str, float]:
    """p50 and p95 of one series, in milliseconds."""
    result = {}
    for column, label in (("inDocument", "in_document"), ("painted", "painted")):
        values = sorted(time[column] for time in times)
        cuts = statistics.quantiles(values, n=20, method="inclusive")
        result |= {f"{name}_{label}_p50_ms": round(cuts[9], 1), f"{name}_{label}_p95_ms": round(cuts[18], 1)}
    return result


def measure(address: str, path: str, judgments: int, chromium: str) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        # Weights: a browser that has seen nothing of the site but its login page's answer, cache empty.
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(f"{address}/login/")
        page.fill("[name=username]", "annotator")
        page.fill("[name=password]", PASSWORD)
        page.click("main [type=submit]")
        page.wait_for_load_state("networkidle")
        state = context.storage_state()
        context.close()

        context = browser.new_context(viewport={"width": 1280, "height": 900}, storage_state=state)
        context.add_init_script(STOPWATCH)
        page = context.new_page()
        traffic = Traffic(context, page)
        page.goto(f"{address}{path}")
        page.wait_for_selector(".task")
        page.wait_for_load_state("networkidle")
        first = traffic.total
        for url, size in sorted(traffic.by_address.items(), key=lambda item: -item[1]):
            print(f"{size:8,} {url.removeprefix(address)}")

        judge(page, 5, THINKING_SECONDS)  # the browser compiles what it runs often
        page.wait_for_load_state("networkidle")
        traffic.clear()
        idle = judge(page, judgments, THINKING_SECONDS)
        page.wait_for_load_state("networkidle")
        each = traffic.total / judgments
        begun = time.perf_counter()
        hurried = judge(page, judgments, 0)
        seconds = (time.perf_counter() - begun) / judgments
        browser.close()
    figures = {"first_page_bytes": first, "task_bytes": round(each)}
    figures |= summary(idle, "idle") | summary(hurried, "without_pause")
    return figures | {"without_pause_ms_a_judgment": round(1000 * seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--judgments", type=int, default=100)
    parser.add_argument("--characters", type=int, default=2000, help="of an answer")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "/usr/bin/chromium")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "ROUNDTABLE_DATA_DIR": folder,
            "ROUNDTABLE_SECRET_KEY": secrets.token_urlsafe(40),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        os.environ.pop("ROUNDTABLE_DATABASE_URL", None)
        sys.path.insert(0, str(ROOT))
        for command in (["migrate", "--verbosity", "0"], ["collectstatic", "--noinput", "--verbosity", "0"]):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, check=True)
        path = make_site(2 * options.judgments + 20, options.characters)
        with served(dict(os.environ)) as address:
            print(json.dumps(measure(address, path, options.judgments, options.chromium)))


if __name__ == "__main__":
    main()
