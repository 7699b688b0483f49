"""What takes several requests."""

import hashlib
import json

import httpx
import pytest

from roundtable.client import WaitedTooLong, WorkFailed


def test_events_are_followed_from_a_cursor_on_and_each_comes_once(make_client, sleeps):
    asked = []
    pages = {
        "": (["e1", "e2"], "c2", True),
        "c2": (["e3"], "c3", False),
        "c3": ([], "c3", False),
    }

    def answer(request):
        asked.append(dict(request.url.params))
        events, cursor, more = pages[request.url.params.get("after", "")]
        return httpx.Response(
            200, json={"results": [{"id": each} for each in events], "next_cursor": cursor, "more": more}
        )

    events = (
        make_client(answer).project("kitchen").follow_events(kinds="judgments", poll_seconds=2, timeout=4)
    )
    assert [event["id"] for event in events] == ["e1", "e2", "e3"]
    assert [each.pop("after", None) for each in asked] == [None, "c2", "c3", "c3"]
    assert asked == [{"kinds": "judgments"}] * 4
    # Where there is more it is asked for at once; two quiet looks are the four seconds.
    assert sleeps == [2.0] * 3


@pytest.mark.parametrize("end", ["done", "failed"])
def test_a_run_is_waited_for(make_client, sleeps, end):
    states = iter(["queued", "running", "running", end])

    def answer(request):
        run = {"id": 3, "title": "Train", "state": next(states), "error": "The disk was full."}
        return httpx.Response(200, json=run)

    project = make_client(answer).project("kitchen")
    if end == "done":
        assert project.wait_for_run(3)["state"] == "done"
    else:
        with pytest.raises(WorkFailed, match="failed.*The disk was full"):
            project.wait_for_run(3)
    assert len(sleeps) == 3


@pytest.mark.parametrize("end", ["at once", "done", "user_error"])
def test_a_dataset_is_frozen_at_once_or_waited_for(make_client, end):
    states = iter(["running", end])
    dataset = {"id": 5, "name": "herbs", "manifest_sha256": "0" * 64}

    def answer(request):
        path = request.url.path.removeprefix("/api/v1/projects/kitchen/")
        run = {"id": 3, "title": "Freeze herbs", "state": "queued", "error": "The batch is gone."}
        match request.method, path:
            case "POST", "datasets":
                assert json.loads(request.content) == {"name": "herbs"}
                return (
                    httpx.Response(201, json=dataset) if end == "at once" else httpx.Response(202, json=run)
                )
            case "GET", "runs/3":
                return httpx.Response(200, json=run | {"state": next(states)})
            case "GET", "runs/3/result":
                return httpx.Response(200, json={"result": {"dataset": 5}})
            case "GET", "datasets/5":
                return httpx.Response(200, json=dataset)
        raise AssertionError(path)

    kitchen = make_client(answer).project("kitchen")
    if end == "user_error":
        with pytest.raises(WorkFailed, match="The batch is gone"):
            kitchen.freeze_dataset(name="herbs")
    else:
        assert kitchen.freeze_dataset(name="herbs") == dataset


def test_what_does_not_end_in_time_goes_on(make_client):
    def answer(request):
        return httpx.Response(200, json={"id": 3, "title": "Train", "state": "running", "error": ""})

    with pytest.raises(WaitedTooLong):
        make_client(answer).project("kitchen").wait_for_run(3, timeout=5)


class Uploads:
    """A site that takes pieces. Some requests are lost before it has them, some answers after."""

    def __init__(self, losses):
        self.received, self.losses, self.begun = b"", iter(losses), False

    def __call__(self, request):
        path = request.url.path.removeprefix("/api/v1/projects/kitchen/uploads")
        if request.method == "GET" and not path:
            rows = [self.row()] if self.begun and self.row()["state"] == "receiving" else []
            return httpx.Response(200, json={"results": rows, "next": None, "next_cursor": None})
        if request.method == "POST":
            self.begun, self.facts = True, json.loads(request.content)
        if request.method == "PUT":
            loss = next(self.losses, None)
            if loss == "request":
                raise httpx.WriteError("lost")
            if int(request.url.params["offset"]) != len(self.received):
                body = {"code": "wrong_offset", "message": "No.", "status": 409}
                return httpx.Response(409, json=body, headers={"content-type": "application/problem+json"})
            self.received += request.content
            if loss == "answer":
                raise httpx.ReadError("lost")
            if loss == "site":
                raise KeyboardInterrupt
        return httpx.Response(200, json=self.row())

    def row(self):
        state = "complete" if len(self.received) == self.facts["size"] else "receiving"
        return {"id": "u1", "name": self.facts["name"], "size_bytes": self.facts["size"],
                "sha256": self.facts["sha256"], "received_bytes": len(self.received), "state": state}  # fmt: skip


def test_an_upload_that_is_cut_three_times_arrives_whole(make_client, tmp_path):
    """A request is lost, an answer is lost, and the program itself is ended in the middle."""
    file = tmp_path / "pairs.jsonl"
    file.write_bytes(bytes(range(256)) * 22_000)
    site = Uploads([None, "request", None, "answer", None, "site"])
    with pytest.raises(KeyboardInterrupt):
        make_client(site).project("kitchen").send_file(file, progress=False)
    assert 0 < len(site.received) < file.stat().st_size
    upload = make_client(site).project("kitchen").send_file(file, progress=False)
    assert upload["state"] == "complete"
    assert hashlib.sha256(site.received).digest() == hashlib.sha256(file.read_bytes()).digest()
