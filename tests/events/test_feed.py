"""The feed: every kind of event, its order under real concurrent transactions, and who reads what of it."""

import json
import threading

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from annotation.importing.actions import import_comparisons, take_back_import
from annotation.judging.actions import JudgmentInput, revise_judgment, withdraw_judgment
from annotation.models import Import, Judgment, PreferenceDataset
from events.feed import read_feed
from events.kinds import KINDS, expand
from events.models import Event, OutboxEntry
from events.publishing import publish_events
from learning.interface.options import UserError
from rounds.models import Stage
from rounds.stages.transitions import enter_stage
from runs.actions import queue_run
from runs.models import Run
from runs.states import RunState
from runs.transitions import transition_run
from tests.rounds.conftest import annotating_round, make_policy, policy, prompt_set  # noqa: F401
from tests.runs.conftest import fields_of
from tests.runs.run_kinds import COUNTING

pytestmark = [pytest.mark.db, pytest.mark.django_db]
CONFIG = {"runtime": {"threads": 1}}


def kinds_since(project, cursor):
    page = read_feed(project, after=cursor, limit=200)
    return [event.kind for event in page.events], page.cursor


def test_a_judgment_its_change_and_its_withdrawal_are_events(
    project, make_batch, ada, judge, key, program, max_
):
    make_batch(tasks=1)
    _, before = kinds_since(project, "0")
    first = judge(rationale="Crisp.")
    second = revise_judgment(
        actor=ada,
        assignment=first.assignment,
        content=JudgmentInput(tiers=[["A", "B"]], strengths=[]),
        idempotency_key=key(),
    )
    third = withdraw_judgment(actor=ada, assignment=first.assignment, idempotency_key=key())
    call = program(max_, project, scope="read")
    answer = call("GET", f"projects/{project.slug}/events?after={before}&kinds=judgment").json()
    assert [event["type"] for event in answer["results"]] == [
        "judgment.submitted",
        "judgment.revised",
        "judgment.withdrawn",
    ]
    # What they say is what the API says of each judgment.
    for event, judgment in zip(answer["results"], (first, second, third), strict=True):
        said = call("GET", f"projects/{project.slug}/judgments/{judgment.pk}").json()
        del said["is_current"]
        assert event["data"] == {"judgment": said.pop("id")} | said
    assert answer["results"][0]["data"]["tiers"] == [["B"], ["A"]]
    assert set(answer["results"][0]["data"]["responses"]) == {"A", "B"}
    assert [event["data"]["supersedes"] for event in answer["results"]] == [None, first.pk, second.pk]
    assert (answer["more"], answer["next_cursor"]) == (False, answer["results"][-1]["cursor"])


def test_whose_answers_they_were_is_for_managers(project, make_batch, judge, program, ruth, max_):
    make_batch(tasks=1)
    judge()
    address = f"projects/{project.slug}/events?kinds=judgment"
    [seen] = program(ruth, project, role="reviewer")("GET", address).json()["results"]
    assert seen["data"]["responses"] == {}
    [seen] = program(max_, project, role="reviewer")("GET", address).json()["results"]
    assert seen["data"]["responses"] == {}
    assert "secret-policy-7b" not in json.dumps(seen)
    [seen] = program(max_, project)("GET", address).json()["results"]
    assert len(seen["data"]["responses"]) == 2


def test_each_state_of_a_run_is_an_event(project, max_):
    _, before = kinds_since(project, "now")
    run = queue_run(
        actor=max_, project=project, kind=COUNTING, title="Count", config={"runtime": {"threads": 1}}
    )
    for state in ("running", "running", "failed", "queued", "running", "queued", "cancelled", "queued",
                  "running", "user_error", "queued", "running", "done"):  # fmt: skip
        run.refresh_from_db()
        assert transition_run(Run.objects.all(), run, RunState(state), **fields_of(state))
    page = read_feed(project, after=before)
    # A run that another worker takes over goes on running.
    assert [event.kind.partition(".")[2] for event in page.events] == [
        "queued", "running", "failed", "queued", "running", "queued", "cancelled", "queued", "running",
        "user_error", "queued", "running", "done",
    ]  # fmt: skip
    assert {event.data["run"] for event in page.events} == {run.pk}
    assert page.events[0].data == {
        "run": run.pk, "kind": COUNTING.name, "title": "Count", "state": "queued", "attempt": 0, "error": "",
        "cloned_from": None,
    }  # fmt: skip
    assert page.events[2].data["error"] == fields_of("failed")["error"]


def test_each_stage_of_a_round_is_an_event(project, annotating_round):  # noqa: F811
    enter_stage(annotating_round, Stage.FAILED, "No.", failed_stage="annotating", error="Too few judgments.")
    enter_stage(annotating_round, Stage.ANNOTATING, "Again.", failed_stage="", error="")
    enter_stage(annotating_round, Stage.CANCELLED, "Enough.", finished_at=timezone.now())
    page = read_feed(project, kinds=["round"])
    assert [event.kind for event in page.events] == [
        "round.sampling", "round.annotating", "round.failed", "round.annotating", "round.cancelled",
    ]  # fmt: skip
    assert page.events[2].data == {"round": 1, "stage": "failed", "error": "Too few judgments."}


def test_an_import_is_one_event_and_its_judgments_none(project, max_, tmp_path, settings):
    settings.DATA_DIR = tmp_path
    file = tmp_path / "pairs.jsonl"
    file.write_text(
        "".join(
            json.dumps({"prompt": f"Question {n}?", "chosen": "Yes.", "rejected": "No."}) + "\n"
            for n in range(3)
        )
    )
    import_comparisons(actor=max_, project=project, path=file, format="trl")
    imported = Import.objects.get()
    assert Judgment.objects.count() == 3
    [event] = read_feed(project, kinds=["judgment", "import"]).events
    assert (event.kind, event.data["import"], event.data["rows"], event.data["bad_rows"]) == (
        "import.done", imported.pk, 3, 0,
    )  # fmt: skip
    assert event.data["counts"] == imported.counts
    take_back_import(actor=max_, imported=imported)
    assert read_feed(project, kinds=["judgment", "import"]).events[-1].kind == "import.taken_back"


def test_a_dataset_is_an_event_when_it_is_frozen_and_when_it_is_discarded(project, max_):
    dataset = PreferenceDataset.objects.create(
        project=project, name="June", directory="datasets/x", manifest_sha256="0" * 64, created_by=max_
    )
    said = {"dataset": dataset.pk, "name": "June", "version": 1}
    dataset.delete()
    events = read_feed(project, kinds=["dataset"]).events
    assert [(event.kind, event.data) for event in events] == [
        ("dataset.frozen", said),
        ("dataset.discarded", said),
    ]


def test_what_is_rolled_back_was_never_an_event(project, max_):
    with pytest.raises(RuntimeError), transaction.atomic():
        queue_run(
            actor=max_, project=project, kind=COUNTING, title="Count", config={"runtime": {"threads": 1}}
        )
        raise RuntimeError
    assert read_feed(project).events == [] and not OutboxEntry.objects.exists()


def test_the_feed_is_read_in_pages_and_gone_on_from(project, max_, program):
    for number in range(5):
        queue_run(
            actor=max_,
            project=project,
            kind=COUNTING,
            title=f"Count {number}",
            config={"runtime": {"threads": 1}},
        )
    call = program(max_, project)
    address, seen = f"projects/{project.slug}/events?limit=2", []
    after = "0"
    for more in (True, True, False):
        answer = call("GET", f"{address}&after={after}").json()
        assert answer["more"] is more
        seen += [event["data"]["title"] for event in answer["results"]]
        after = answer["next_cursor"]
    assert seen == [f"Count {number}" for number in range(5)]
    assert call("GET", f"{address}&after={after}").json() == {
        "results": [],
        "next_cursor": after,
        "more": False,
    }
    assert call("GET", f"{address}&after=now").json()["next_cursor"] == after
    queue_run(actor=max_, project=project, kind=COUNTING, title="Another", config=CONFIG)
    [event] = call("GET", f"{address}&after={after}").json()["results"]
    assert event["data"]["title"] == "Another"
    # Of other kinds nothing came, and the next question begins after what was looked at.
    answer = call("GET", f"{address}&after={after}&kinds=round.done,judgment").json()
    assert (answer["results"], answer["next_cursor"]) == ([], event["cursor"])


@pytest.mark.parametrize(
    "cursor", ["1", "x", "-1", "99999999999999999999-00000000", "{id}-00000000", "{other}", "²-1"]
)
def test_a_cursor_of_something_else_is_refused(project, olga, max_, program, cursor):
    other = olga.memberships.get().project
    for one in (project, other):
        queue_run(actor=max_, project=one, kind=COUNTING, title="Count", config=CONFIG)
    event = read_feed(project).events[0]
    cursor = cursor.format(id=event.pk, other=read_feed(other).cursor)
    with pytest.raises(UserError):
        read_feed(project, after=cursor)
    answer = program(max_, project)("GET", f"projects/{project.slug}/events?after={cursor}")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["after"])


def test_unknown_kinds_are_refused_by_name(project, max_, program):
    answer = program(max_, project)("GET", f"projects/{project.slug}/events?kinds=run,runs.done")
    assert answer.status_code == 400 and "“runs.done”" in answer.json()["fields"]["kinds"]


def test_a_group_stands_for_its_kinds():
    assert expand(["round.done", "import"]) == ["round.done", "import.done", "import.taken_back"]
    assert expand([]) == list(KINDS)


def write_entry(project, title):
    OutboxEntry.objects.create(kind="run.queued", project_id=project.pk, data={"title": title})


@pytest.mark.django_db(transaction=True)
def test_an_event_that_is_committed_late_is_not_missed(project):
    """Its key of the outbox is smaller than that of an event which a reader has had already."""
    inserted, go = threading.Event(), threading.Event()

    def slow():
        try:
            with transaction.atomic():
                write_entry(project, "first to write, last to commit")
                inserted.set()
                if connection.vendor == "postgresql":
                    assert go.wait(150)
        finally:
            connections.close_all()

    writer = threading.Thread(target=slow)
    writer.start()
    assert inserted.wait(150)
    if connection.vendor != "postgresql":
        writer.join()  # SQLite lets nobody else write meanwhile
    write_entry(project, "committed first")
    page = read_feed(project)
    titles = [event.data["title"] for event in page.events]
    if connection.vendor == "postgresql":
        assert titles == ["committed first"]
        go.set()
        writer.join()
        later = read_feed(project, after=page.cursor)
        assert [event.data["title"] for event in later.events] == ["first to write, last to commit"]
    else:
        assert titles == ["first to write, last to commit", "committed first"]
    assert not OutboxEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_reader_beside_writers_and_publishers_gets_each_event_once_and_each_writers_in_its_order(project):
    n_writers, n_events = 3, 12
    expected = {(writer, number) for writer in range(n_writers) for number in range(n_events)}

    def write(writer):
        try:
            for number in range(n_events):
                with transaction.atomic():
                    write_entry(project, [writer, number])
                if writer == 0:
                    publish_events()
        finally:
            connections.close_all()

    writers = [threading.Thread(target=write, args=[number]) for number in range(n_writers)]
    for writer in writers:
        writer.start()
    seen, cursor = [], "0"
    while True:
        ended = not any(writer.is_alive() for writer in writers)
        page = read_feed(project, after=cursor, limit=5)
        seen += [tuple(event.data["title"]) for event in page.events]
        cursor = page.cursor
        if ended and not page.more:
            break
    assert len(seen) == len(expected) and set(seen) == expected
    for writer in range(n_writers):
        assert [number for by, number in seen if by == writer] == list(range(n_events))


@pytest.mark.django_db(transaction=True)
def test_two_publishers_take_turns(project):
    """While one publishes another takes nothing; on SQLite it would wait for the one writer."""
    write_entry(project, "one")
    if connection.vendor == "postgresql":
        taken, go = threading.Event(), threading.Event()

        def hold():
            try:
                with transaction.atomic():
                    publish_events()
                    taken.set()
                    assert go.wait(150)
            finally:
                connections.close_all()

        publisher = threading.Thread(target=hold)
        publisher.start()
        assert taken.wait(150)
        write_entry(project, "two")
        assert publish_events() == 0 and not Event.objects.exists()
        go.set()
        publisher.join()
        assert publish_events() == 1
    else:
        write_entry(project, "two")
        assert publish_events() == 2
    assert [event.data["title"] for event in Event.objects.order_by("pk")] == ["one", "two"]
