"""The database's own rules, asked past every form and action."""

import uuid

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import (
    Assignment,
    Batch,
    CurrentJudgment,
    Demonstration,
    Import,
    Judgment,
    Prompt,
    Response,
    Task,
    TaskResponse,
)
from annotation.queue.actions import claim_task

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def judgment(ada, project, make_batch, key):
    make_batch(tasks=2)
    return submit_judgment(
        actor=ada,
        assignment=claim_task(actor=ada, project=project),
        content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1]),
        idempotency_key=key(),
    )


def refused(act, rule=""):
    """`rule`: by which, as both databases name it: a check's or trigger's words, the columns that are there once."""
    with pytest.raises(IntegrityError, match=rule or None), transaction.atomic():
        act()


def execute(sql, *params):
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def copy(row, **changes):
    """Insert a copy of a row with these columns changed."""
    fresh = type(row).objects.get(pk=row.pk)
    fresh.pk = None
    fresh._state.adding = True
    for name, value in changes.items():
        setattr(fresh, name, value)
    fresh.save(force_insert=True)
    return fresh


def test_judgments_are_append_only(judgment):
    refused(lambda: Judgment.objects.filter(pk=judgment.pk).update(rationale="changed"), "append-only")
    refused(lambda: execute("UPDATE annotation_judgment SET surplus = NOT surplus"), "append-only")
    CurrentJudgment.objects.all().delete()
    refused(lambda: execute("DELETE FROM annotation_judgment"), "append-only")
    assert Judgment.objects.count() == 1


@pytest.mark.parametrize("table", ["annotation_judgment", "workspace_auditevent"])
def test_rows_cannot_be_replaced_or_truncated_away(judgment, table):
    def content():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")
            return cursor.fetchall()

    before = content()
    assert before
    if connection.vendor == "postgresql":
        execute("SET CONSTRAINTS ALL IMMEDIATE")  # TRUNCATE waits for no check that is still to come
        refused(lambda: execute(f"TRUNCATE {table} CASCADE"))
        refused(lambda: execute("TRUNCATE workspace_project CASCADE"))
        refused(lambda: execute("TRUNCATE annotation_task CASCADE"))
    else:
        refused(lambda: execute(f"REPLACE INTO {table} SELECT * FROM {table}"))
        refused(lambda: execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1"))
        refused(lambda: execute(f"UPDATE OR REPLACE {table} SET id = id + 1"))
    assert content() == before


def test_counts_stay_right_when_a_row_is_replaced(judgment):
    """The counts' triggers fire on the row that REPLACE deletes as well: taken away once, added once."""
    if connection.vendor == "postgresql":
        execute("UPDATE annotation_task SET open_slots = open_slots")
    else:
        CurrentJudgment.objects.all().delete()
        other = Task.objects.exclude(pk=judgment.task_id).get()
        TaskResponse.objects.filter(task=other).delete()
        execute("REPLACE INTO annotation_task SELECT * FROM annotation_task WHERE id = %s", other.pk)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT SUM(available), SUM(submitted) FROM annotation_taskcount WHERE annotator_id = 0"
        )
        available = cursor.fetchone()[0]
    assert available == Task.objects.filter(open_slots__gt=0, reserved_for=None).count()


def test_a_judgment_is_superseded_once_and_a_chain_has_one_start(judgment):
    second = copy(judgment, supersedes=judgment, idempotency_key=uuid.uuid4().hex)
    refused(lambda: copy(judgment, supersedes=judgment, idempotency_key=uuid.uuid4().hex), "supersedes_id")
    refused(lambda: copy(judgment, idempotency_key=uuid.uuid4().hex), "assignment_id")
    chain = Judgment.objects.order_by("pk").values_list("pk", "supersedes")
    assert list(chain) == [(judgment.pk, None), (second.pk, judgment.pk)]


def test_an_idempotency_key_serves_once_an_annotator(judgment):
    refused(lambda: copy(judgment, supersedes=judgment), "annotator_id.*idempotency_key")
    refused(
        lambda: copy(judgment, supersedes=judgment, idempotency_key=""), "judgment_idempotency_key_not_empty"
    )
    copy(judgment, supersedes=judgment, idempotency_key="another")
    keys = Judgment.objects.order_by("pk").values_list("idempotency_key", flat=True)
    assert list(keys) == [judgment.idempotency_key, "another"]


def test_a_judgment_has_sound_seconds_and_withdraws_something(judgment):
    refused(
        lambda: copy(judgment, supersedes=judgment, idempotency_key="k" * 12, seconds=-0.1),
        "judgment_seconds_not_negative",
    )
    other = Assignment.objects.create(
        task=Task.objects.exclude(pk=judgment.task_id).get(),
        annotator=judgment.annotator,
        leased_until=judgment.created_at,
        shuffle_seed=1,
        order_shown=[],
        settings_version=1,
        guideline_version=1,
    )
    refused(
        lambda: copy(judgment, assignment=other, idempotency_key="k" * 12, withdrawn=True),
        "judgment_withdrawn_valid",
    )
    copy(judgment, supersedes=judgment, idempotency_key="k" * 12, seconds=0.0, withdrawn=True)
    withdrawal = Judgment.objects.get(supersedes=judgment)
    assert (withdrawal.seconds, withdrawal.withdrawn) == (0.0, True)


def test_one_pointer_a_task_and_annotator(judgment):
    head = copy(judgment, supersedes=judgment, idempotency_key=uuid.uuid4().hex)
    refused(lambda: copy(CurrentJudgment.objects.get(), judgment=head), "task_id.*annotator_id")
    CurrentJudgment.objects.update(judgment=head)
    assert CurrentJudgment.objects.get().judgment == head


def test_one_assignment_a_task_and_annotator_in_a_known_state(judgment):
    before = Assignment.objects.values().get()
    refused(lambda: copy(judgment.assignment, public_id=uuid.uuid4()), "task_id.*annotator_id")
    refused(lambda: Assignment.objects.update(state="lost"), "assignment_.*_valid")
    refused(
        lambda: Assignment.objects.filter(state="submitted").update(submitted_at=None),
        "assignment_submitted_at_valid",
    )
    assert Assignment.objects.values().get() == before and before["state"] == "submitted"


@pytest.mark.parametrize(
    "wrong",
    [
        {"open_slots": -1},
        {"counted_judgments": -1},
        {"open_slots": 2},
        {"counted_judgments": 2},
        {"required_judgments": 0, "open_slots": 0, "counted_judgments": 0},
        {"purpose": "gold"},
        {"purpose": "unknown"},
        {"purpose": "adjudication", "required_judgments": 0, "open_slots": 0, "counted_judgments": 0},
    ],
)
def test_the_counters_of_a_task_are_bounded_and_fit_its_purpose(judgment, wrong):
    refused(lambda: Task.objects.filter(pk=judgment.task_id).update(**wrong), "task_")
    kept = Task.objects.get(pk=judgment.task_id)
    # One judgment was asked for and is there.
    assert (kept.required_judgments, kept.counted_judgments, kept.open_slots) == (1, 1, 0)
    assert kept.purpose == "normal"


@pytest.mark.parametrize(
    "wrong",
    [{"responses_per_task": 3}, {"kind": "ranking"}, {"overlap": 0}, {"overlap": 51}, {"state": "ajar"}],
)
def test_a_batch_keeps_its_kind_size_overlap_and_state(judgment, wrong):
    refused(lambda: Batch.objects.update(**wrong), "batch_.*valid")
    kept = Batch.objects.get()
    assert (kept.kind, kept.responses_per_task, kept.overlap, kept.state) == ("pairwise", 2, 1, "open")


def test_names_and_ids_are_taken_once_a_project(judgment):
    refused(lambda: copy(judgment.task.batch), "project_id.*name")
    refused(lambda: copy(judgment.task.prompt), "project_id.*external_id")
    refused(lambda: copy(Response.objects.first()), "project_id.*external_id")
    refused(lambda: copy(Response.objects.first(), external_id=""), "response_id_not_empty")
    before = [model.objects.count() for model in (Batch, Prompt, Response)]
    copy(judgment.task.batch, name="another")
    copy(judgment.task.prompt, external_id="another")
    copy(Response.objects.first(), external_id="another")
    assert [model.objects.count() for model in (Batch, Prompt, Response)] == [n + 1 for n in before]


def test_a_response_is_shown_once_in_a_task_and_at_most_nine_are(judgment):
    entry = TaskResponse.objects.filter(task=judgment.task).first()
    refused(lambda: copy(entry, position=5), "task_id.*response_id")
    other = Response.objects.exclude(task_responses__task=judgment.task).first()
    refused(lambda: copy(entry, response=other), "task_id.*position")
    refused(lambda: copy(entry, response=other, position=9), "task_response_position_valid")
    copy(entry, response=other, position=8)
    positions = TaskResponse.objects.filter(task=judgment.task).order_by("position")
    assert list(positions.values_list("position", flat=True)) == [0, 1, 8]


def test_the_split_of_a_prompt_is_frozen(judgment):
    prompt = judgment.task.prompt
    other = "test" if prompt.split != "test" else "train"
    refused(lambda: Prompt.objects.filter(pk=prompt.pk).update(split=other), "split of a prompt is frozen")
    assert Prompt.objects.filter(pk=prompt.pk).update(split=prompt.split) == 1
    refused(lambda: copy(prompt, external_id="fresh", split="holdout"), "prompt_split_valid")


def test_a_response_with_nul_is_refused(judgment):
    errors = (IntegrityError, DataError, ValueError)
    response = Response.objects.first()
    with pytest.raises(errors), transaction.atomic():
        copy(response, external_id="fresh", text="a\0b")
    with pytest.raises(errors), transaction.atomic():
        Response.objects.filter(pk=response.pk).update(text="a\0b")
    assert not Response.objects.filter(external_id="fresh").exists()


def test_a_demonstration_is_not_empty(judgment):
    fields = {"project": judgment.task.batch.project, "prompt": judgment.task.prompt}
    refused(lambda: Demonstration.objects.create(**fields, response_text=""), "demonstration_not_empty")
    Demonstration.objects.create(**fields, response_text="Yes.")
    assert Demonstration.objects.get().response_text == "Yes."


def test_a_judgment_can_be_deleted_only_while_its_import_runs(judgment, project, max_):
    imported = Import.objects.create(project=project, kind="comparisons", actor=max_)
    copied = copy(
        judgment, supersedes=judgment, idempotency_key="other", from_import=imported, source_id="row-7"
    )
    copied = Judgment.objects.get(supersedes=judgment)
    Import.objects.filter(pk=imported.pk).update(state="done")
    refused(lambda: Judgment.objects.filter(pk=copied.pk).delete(), "append-only")
    refused(lambda: Import.objects.filter(pk=imported.pk).update(state="running"), "does not run again")
    refused(lambda: Judgment.objects.filter(pk=judgment.pk).update(from_import=imported), "append-only")
    running = Import.objects.create(project=project, kind="comparisons", actor=max_)
    copy(copied, supersedes=copied, idempotency_key="third", from_import=running)
    assert Judgment.objects.filter(from_import=running).delete()[0] == 1
    assert Judgment.objects.filter(from_import=imported).count() == 1


def test_the_ids_of_what_was_taken_back_are_free_again(judgment):
    prompt = judgment.task.prompt
    refused(lambda: copy(prompt), "project_id.*external_id")
    Prompt.objects.filter(pk=prompt.pk).update(taken_back=True)
    assert not Prompt.objects.filter(pk=prompt.pk).exists()
    assert Prompt._base_manager.filter(pk=prompt.pk).exists()
    assert Task.objects.get(pk=judgment.task_id).prompt.external_id == prompt.external_id
    again = Prompt.objects.create(
        project=prompt.project, external_id=prompt.external_id, messages=prompt.messages, split="test"
    )
    assert Prompt.objects.get(external_id=prompt.external_id) == again


def test_the_triggers_survived_every_migration():
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
            wanted = {
                "annotation_judgment_no_update",
                "annotation_judgment_no_delete",
                "prompt_split_is_frozen",
                "import_is_done_once",
                "annotation_judgment_no_truncate",
                "workspace_auditevent_no_truncate",
            }
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            wanted = {
                "annotation_judgment_no_update",
                "annotation_judgment_no_delete",
                "prompt_split_is_frozen",
                "response_insert_without_nul",
                "response_update_without_nul",
                "import_is_done_once",
            }
            cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'annotation_judgment_no_delete'")
            # The one that knows of running imports, not the one of the first migrations.
            assert "annotation_import" in cursor.fetchone()[0]
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        assert wanted <= {name for (name,) in cursor.fetchall()}
