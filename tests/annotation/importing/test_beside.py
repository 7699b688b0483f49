import threading

import pytest

from annotation.importing import actions, insertion
from annotation.importing.beside import Beside
from annotation.models import Batch, Import, Judgment, Prompt, Response, Task
from annotation.queue.counters import find_counter_drift


@pytest.mark.django_db(transaction=True)
def test_calls_are_done_one_after_the_other_in_one_other_thread():
    done = []
    with Beside("calls") as beside:
        for number in range(20):
            beside.call(lambda number=number: done.append((number, threading.current_thread().name)))
    assert done == [(number, "calls") for number in range(20)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("further", [0, 3])
def test_the_first_error_is_raised_and_no_further_call_is_begun(further):
    done = []

    def fail():
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"), Beside("calls") as beside:
        beside.call(lambda: done.append("before"))
        beside.call(fail)
        for _ in range(further):
            beside.call(lambda: done.append("after"))
    assert done == ["before"]


@pytest.mark.django_db(transaction=True)
def test_when_the_caller_fails_the_call_that_waits_is_not_begun():
    done, begun, go_on = [], threading.Event(), threading.Event()

    def first():
        begun.set()
        assert go_on.wait(30)
        done.append("first")

    class Leaving(Beside):
        def __exit__(self, kind, error, trace):
            # What waits is in the queue by now; the first call ends only once the caller has given up.
            self._given_up = True
            go_on.set()
            super().__exit__(kind, error, trace)

    with pytest.raises(ValueError, match="caller"), Leaving("calls") as beside:
        beside.call(first)
        assert begun.wait(30)
        beside.call(lambda: done.append("second"))
        raise ValueError("caller")
    assert done == ["first"]


def rows(number):
    return [
        {"prompt": f"Q {n // 2}?", "chosen": f"yes {n}", "rejected": "no", "annotator": f"a{n % 3}"}
        for n in range(number)
    ]


def import_rows(project, max_, path):
    return actions.import_comparisons(actor=max_, project=project, path=path, format="trl")


@pytest.mark.db
@pytest.mark.django_db(transaction=True)
def test_an_import_of_many_chunks_stores_every_row_once(project, criterion, max_, write_rows, monkeypatch):
    monkeypatch.setattr(insertion, "TASKS_WORTH_A_THREAD", 0)
    monkeypatch.setattr(insertion, "MAX_TASKS_PER_CHUNK", 3)
    monkeypatch.setattr(insertion, "TASKS_PER_CHUNK", 3)
    batch, report = import_rows(project, max_, write_rows(rows(20)))
    assert report.counts["judgments"] == batch.tasks.count() == Judgment.objects.current().count() == 20
    assert Prompt.objects.count() == 10 and Response.objects.count() == 40
    said = {
        (judgment.annotator.pseudonym, Response.objects.get(pk=judgment.tiers[0][0]).text)
        for judgment in Judgment.objects.select_related("annotator")
    }
    assert said == {(row["annotator"], row["chosen"]) for row in rows(20)}
    assert find_counter_drift(project) == []


@pytest.mark.db
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["add_responses", "add_judgments"])
def test_an_import_that_fails_in_a_later_chunk_leaves_nothing(
    project, criterion, max_, write_rows, monkeypatch, name
):
    """On PostgreSQL the two are in different threads; on SQLite what they store goes by a third."""
    monkeypatch.setattr(insertion, "TASKS_WORTH_A_THREAD", 0)
    monkeypatch.setattr(insertion, "MAX_TASKS_PER_CHUNK", 3)
    monkeypatch.setattr(insertion, "TASKS_PER_CHUNK", 3)
    usual, calls = getattr(insertion, name), []

    def fail_third(**options):
        calls.append(options)
        if len(calls) == 3:
            raise KeyError("third")
        return usual(**options)

    monkeypatch.setattr(insertion, name, fail_third)
    with pytest.raises(KeyError, match="third"):
        import_rows(project, max_, write_rows(rows(20)))
    assert len(calls) == 3
    assert not any(model.objects.exists() for model in (Import, Batch, Task, Prompt, Response, Judgment))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tasks of")]
    monkeypatch.setattr(insertion, name, usual)
    _, report = import_rows(project, max_, write_rows(rows(20)))
    assert report.counts["judgments"] == 20
