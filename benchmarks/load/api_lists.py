"""How long pages of the API's lists take, one request after the other over HTTP: 50 rows a page, by filters too."""

import http.client
import json
import time
from typing import Any
from urllib.parse import quote

PAGES_OF_A_LIST = 10
# `{...}`: what the site's data has. The last ones go from the oldest row on.
LISTS = (
    "judgments",
    "judgments?batch={batch}",
    "judgments?annotator={annotator}",
    "judgments?annotator_kind=person",
    "judgments?current=true",
    "judgments?purpose=normal",
    "judgments?criterion={criterion}",
    "judgments?created_after=2020-01-01T00:00:00Z",
    "prompts",
    "prompts?split=validation",
    "responses",
    "responses?source_kind=import",
    "tasks",
    "tasks?batch={batch}",
    "batches",
    "imports",
    "datasets",
    "judgments?order=id",
    "responses?order=id",
)


def measure_lists(port: int, project: str, session: str, found: dict[str, Any]) -> dict[str, Any]:
    """p50_ms, p95_ms and max_ms of all requests, and p95_ms of each list under `lists`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    of_list: dict[str, list[float]] = {}
    for template in LISTS:
        asked = template.format_map({name: quote(str(value)) for name, value in found.items()})
        address, times = f"/api/v1/projects/{project}/{asked}", of_list.setdefault(template, [])
        while address and len(times) < PAGES_OF_A_LIST:
            begun = time.monotonic()
            connection.request("GET", address, headers={"Cookie": f"sessionid={session}"})
            answer = connection.getresponse()
            body = answer.read()
            times.append((time.monotonic() - begun) * 1000)
            if answer.status != 200:
                raise SystemExit(f"{address}: {answer.status} {body[:300]!r}")
            following = json.loads(body)["next"]
            address = following and following.partition(f":{port}")[2]
    connection.close()
    everything = sorted(time for times in of_list.values() for time in times)
    return {
        "requests": len(everything),
        "p50_ms": quantile(everything, 0.5),
        "p95_ms": quantile(everything, 0.95),
        "max_ms": quantile(everything, 1),
        "lists": {name: quantile(sorted(times), 0.95) for name, times in of_list.items()},
    }


def quantile(ordered: list[float], share: float) -> float:
    """The smallest value that so large a share is not above."""
    place = max(0, -(-len(ordered) * share // 1) - 1)
    return round(ordered[int(place)], 1)
