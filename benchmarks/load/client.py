"""The load generator: a process of its own that plays annotators over plain sockets and says how much CPU it took.

It reads a plan from standard input, one JSON object, and writes one JSON object. It knows two sites: ours, as the work
page speaks to it (session cookie, CSRF token, the next task fetched ahead), and Label Studio, by its token.

cd benchmarks; python -m load.client < plan.json
"""

import asyncio
import json
import math
import random
import re
import resource
import sys
import time
import urllib.parse
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from load.connection import Connection

CSRF = re.compile(rb"(?i)set-cookie: *csrftoken=([^;\r]+)")
SESSION = re.compile(rb"(?i)set-cookie: *sessionid=([^;\r]+)")
# As the browser's outbox waits after a failure.
FIRST_DELAY_S, LONGEST_DELAY_S = 1.0, 15.0


@dataclass
class Measured:
    """What all annotators of a phase saw; latencies in seconds, with the second at which they were begun."""

    started: float = 0.0
    until: float = 0.0
    next_s: list[float] = field(default_factory=list)
    submit_s: list[float] = field(default_factory=list)
    cycles: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    unanswered: int = 0
    left_over: int = 0
    bytes_read: int = 0
    refusals: list[str] = field(default_factory=list)
    # A line for each judgment as soon as its answer is there: what was promised until when.
    accepted_file: TextIO | None = None

    def accept(self, key: str) -> None:
        self.accepted.append(key)
        if self.accepted_file is not None:
            self.accepted_file.write(f"{key}\n")

    def counts(self, begun: float) -> bool:
        return self.started <= begun < self.until


class Annotator(ABC):
    """What both sites have in common: requests that are repeated until somebody answers them."""

    def __init__(self, plan: dict[str, Any], account: dict[str, str], measured: Measured):
        self.plan = plan
        self.account = account
        self.measured = measured
        self.connection = Connection(plan["host"], plan["port"], self.headers())
        self.task: Any = None

    @abstractmethod
    def headers(self) -> dict[str, str]: ...

    @abstractmethod
    async def begin(self) -> None:
        """The first task on the screen."""

    @abstractmethod
    async def judge(self, due: float) -> bool:
        """Submit what is on the screen and get the next; False when nothing is left. `due`: when it was to begin."""

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes, bytes]:
        """Asks until the answer is not a failure of the site, waiting ever longer as the work page does."""
        content = b"" if body is None else json.dumps(body).encode()
        delay = FIRST_DELAY_S
        while True:
            try:
                status, head, answer = await self.connection.request(method, path, content)
            except (OSError, EOFError, asyncio.IncompleteReadError, ValueError) as error:
                self.measured.unanswered += 1
                self.measured.statuses[type(error).__name__] += 1
            else:
                self.measured.statuses[str(status)] += 1
                self.measured.bytes_read += len(answer)
                if status != 429 and status < 500:
                    return status, head, answer
            if time.monotonic() > self.measured.until + self.plan.get("patience", 60.0):
                raise TimeoutError("The site did not answer to the end.")
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_DELAY_S)

    def note(self, latencies: list[float], begun: float) -> None:
        if self.measured.counts(begun):
            latencies.append(time.monotonic() - begun)

    def finish(self, begun: float) -> None:
        if self.measured.counts(begun) and time.monotonic() < self.measured.until:
            self.measured.cycles += 1


class OurAnnotator(Annotator):
    """As static/annotation/annotator/*.js asks: what comes next is fetched while a task is on the screen."""

    ahead: dict[str, Any] | None = None

    def headers(self) -> dict[str, str]:
        return {
            "Accept": "application/json",
            "Cookie": f"sessionid={self.account['session']}; csrftoken={self.account['csrf']}",
            "X-CSRFToken": self.account["csrf"],
            "X-Page-Version": self.plan["page_version"],
        }

    def address(self, *parts: str) -> str:
        return "/".join([f"/projects/{self.plan['project']}/annotate", *parts, ""])

    async def claim(self, after: str | None) -> dict[str, Any] | None:
        begun = time.monotonic()
        status, _, answer = await self.ask("POST", self.address("next"), {"after_assignment": after})
        if status != 200:
            raise RuntimeError(f"next: {status} {answer[:300]!r}")
        self.note(self.measured.next_s, begun)
        data: dict[str, Any] = json.loads(answer)
        return data if data["public_id"] else None

    async def begin(self) -> None:
        self.task = await self.claim(None)
        self.ahead = await self.claim(self.task["public_id"]) if self.task else None

    async def judge(self, due: float) -> bool:
        if self.task is None:
            return False
        public_id = self.task["public_id"]
        strength = random.choice([0, 1, 2, 3])
        key = uuid.uuid4().hex
        body = {
            "tiers": random.choice([[["A"], ["B"]], [["B"], ["A"]]]),
            "strengths": [strength],
            "rationale": "",
            "flags": [],
            "seconds": 5.0,
            "idempotency_key": key,
            "guideline_version": self.task["guideline"]["version"],
            "settings_version": self.task["settings_version"],
            "revise": False,
            "claim_next": {"after_assignment": self.ahead["public_id"] if self.ahead else None},
        }
        status, _, answer = await self.ask("POST", self.address("tasks", public_id, "submit"), body)
        self.note(self.measured.submit_s, due)
        brought = None
        if status == 201:
            self.measured.accept(key)
            brought = json.loads(answer).get("next")
        elif len(self.measured.refusals) < 5:
            self.measured.refusals.append(f"{status} {answer[:200]!r}")
        if brought is not None:
            # One request is both: the task behind the one that is shown now came with the answer.
            self.note(self.measured.next_s, due)
            brought = brought if brought["public_id"] else None
        if self.ahead is None:
            self.task, brought = brought or await self.claim(None), None
        else:
            self.task = self.ahead
        self.ahead = brought or (await self.claim(self.task["public_id"]) if self.task else None)
        self.finish(due)
        return True


class PeerAnnotator(Annotator):
    """Label Studio: a task, its annotation, the next task; every request carries the person's token."""

    def headers(self) -> dict[str, str]:
        return {"Accept": "application/json", "Authorization": f"Token {self.account['token']}"}

    async def claim(self) -> Any:
        begun = time.monotonic()
        status, _, answer = await self.ask("GET", f"/api/projects/{self.plan['project']}/next")
        if status == 404:
            return None
        if status != 200:
            raise RuntimeError(f"next: {status} {answer[:300]!r}")
        self.note(self.measured.next_s, begun)
        return json.loads(answer)["id"]

    async def begin(self) -> None:
        self.task = await self.claim()

    async def judge(self, due: float) -> bool:
        if self.task is None:
            return False
        value = {"selected": random.choice(["left", "right"])}
        result = [{"from_name": "pw", "to_name": "a,b", "type": "pairwise", "value": value}]
        path = f"/api/tasks/{self.task}/annotations/?project={self.plan['project']}"
        status, _, answer = await self.ask("POST", path, {"result": result, "lead_time": 5.0})
        self.note(self.measured.submit_s, due)
        if status == 201:
            self.measured.accept(str(self.task))
        elif len(self.measured.refusals) < 5:
            self.measured.refusals.append(f"{status} {answer[:200]!r}")
        self.task = await self.claim()
        self.finish(due)
        return True


async def log_in(plan: dict[str, Any], account: dict[str, str]) -> dict[str, str]:
    """Name and password through the form, then the work page for a CSRF cookie of the new session."""
    connection = Connection(plan["host"], plan["port"], {"Accept": "text/html"})
    _, head, _ = await connection.request("GET", "/login/")
    csrf = CSRF.search(head)
    if csrf is None:
        raise RuntimeError(f"the login page sets no CSRF cookie: {head!r}")
    connection.headers["Cookie"] = f"csrftoken={csrf.group(1).decode()}"
    fields = {"csrfmiddlewaretoken": csrf.group(1).decode(), **account}
    form = urllib.parse.urlencode(fields).encode()
    status, head, body = await connection.request(
        "POST", "/login/", form, "application/x-www-form-urlencoded"
    )
    session, csrf = SESSION.search(head), CSRF.search(head)
    if status != 302 or not session or not csrf:
        raise RuntimeError(f"login of {account['username']}: {status} {body[:500]!r}")
    connection.headers["Cookie"] = (
        f"sessionid={session.group(1).decode()}; csrftoken={csrf.group(1).decode()}"
    )
    status, _, _ = await connection.request("GET", f"/projects/{plan['project']}/annotate/work/")
    connection.close()
    if status != 200:
        raise RuntimeError(f"the work page of {account['username']}: {status}")
    return {"session": session.group(1).decode(), "csrf": csrf.group(1).decode()}


async def log_everybody_in(plan: dict[str, Any]) -> dict[str, Any]:
    at_once = asyncio.Semaphore(4)

    async def one(account: dict[str, str]) -> dict[str, str]:
        async with at_once:
            return await log_in(plan, account)

    return {"accounts": await asyncio.gather(*map(one, plan["accounts"]))}


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Everybody annotates for `seconds` after `warmup` seconds: without a pause, or (with `interval`) at a rate."""
    measured = Measured()
    if path := plan.get("accepted_file"):
        measured.accepted_file = Path(path).open("a", buffering=1)  # noqa: SIM115  # until the process ends
    kind = {"roundtable": OurAnnotator, "label-studio": PeerAnnotator}[plan["site"]]
    people = [kind(plan, account, measured) for account in plan["accounts"]]
    # The first tasks, which all ask for at once, are not part of the measurement.
    measured.started, measured.until = math.inf, time.monotonic() + 3600
    at_once = asyncio.Semaphore(32)

    async def begin(person: Annotator) -> None:
        async with at_once:
            await person.begin()

    await asyncio.gather(*map(begin, people))
    begun = time.monotonic()
    measured.started = begun + plan["warmup"]
    measured.until = measured.started + plan["seconds"]
    cpu_at_start = 0.0

    async def without_pause(person: Annotator) -> None:
        while (now := time.monotonic()) < measured.until and measured.cycles < plan.get("max_cycles", 10**9):
            if not await person.judge(now):
                measured.left_over += 1
                return

    async def at_a_rate(person: Annotator, offset: float) -> None:
        due = begun + offset
        while due < measured.until:
            # Late already: the wait counts, as it would for the person.
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not await person.judge(due):
                measured.left_over += 1
                return
            due += plan["interval"]

    async def watch_cpu() -> None:
        nonlocal cpu_at_start
        await asyncio.sleep(plan["warmup"])
        cpu_at_start = own_cpu()

    interval = plan.get("interval")
    play = [
        at_a_rate(person, interval * number / len(people)) if interval else without_pause(person)
        for number, person in enumerate(people)
    ]
    await asyncio.gather(watch_cpu(), *play)
    # The last answers may come after the end.
    took = max(plan["seconds"], time.monotonic() - measured.started)
    for person in people:
        person.connection.close()
    return {
        "clients": len(people),
        "cycles": measured.cycles,
        "cycles_per_s": round(measured.cycles / plan["seconds"], 2),
        **percentiles("next", measured.next_s),
        **percentiles("submit", measured.submit_s),
        "statuses": dict(measured.statuses),
        "unanswered": measured.unanswered,
        "ran_out": measured.left_over,
        "accepted": len(measured.accepted),
        "refusals": measured.refusals,
        "kb_per_cycle": round(measured.bytes_read / 1000 / max(1, len(measured.accepted)), 2),
        "client_cpu": round((own_cpu() - cpu_at_start) / took, 3),
    }


def own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def percentiles(name: str, seconds: list[float]) -> dict[str, float | None]:
    """p50, p95 and p99 in milliseconds, by the nearest rank."""
    ranked = sorted(seconds)
    return {
        f"{name}_p{share}_ms": round(1000 * ranked[-(-len(ranked) * share // 100) - 1], 1) if ranked else None
        for share in (50, 95, 99)
    }


def main() -> None:
    plan = json.load(sys.stdin)
    act = log_everybody_in if plan["act"] == "log_in" else run
    print(json.dumps(asyncio.run(act(plan))))


if __name__ == "__main__":
    main()
