"""The migrations that move data, on a database with rows of the version before."""

import hashlib

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from annotation.models import TaskCount
from annotation.queue.counts import find_count_differences
from tests.schema_descriptions import describe_schema
from tests.schema_snapshots import one_by_one
from workspace.unavailable import missing_migrations

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def migrate(migrate_to):
    # workspace as it was then: a later column without a value would refuse the rows made with the models of then.
    return lambda name: migrate_to(("annotation", name), ("workspace", "0003_constraint_names"))


@pytest.fixture
def models_before(schema_at):
    """The models of 0002 and their database."""
    apps = schema_at(("annotation", "0002_triggers"), ("workspace", "0003_constraint_names"))
    return lambda name, app="annotation": apps.get_model(app, name)


@pytest.fixture
def rows_before(models_before):
    """A row in every table and column that gets another name."""
    model = models_before
    user = model("User", "workspace").objects.create(username="ada", pseudonym="annotator-1")
    project = model("Project", "workspace").objects.create(name="Kitchen", slug="kitchen", split_salt="salt")
    criterion = model("Criterion", "workspace").objects.create(project=project, name="overall", question="?")
    batch = model("Batch").objects.create(
        project=project, criterion=criterion, name="One", kind="ranking", k=3, overlap=2, cursor_epoch=7
    )
    prompt = model("Prompt").objects.create(
        project=project, external_id="p-1", messages=[], split="train", content_hash="0" * 64
    )
    source = model("Source").objects.create(project=project, kind="policy", name="start")
    responses = [
        model("Response").objects.create(
            project=project, external_id=f"r-{n}", prompt=prompt, source=source, text=f"Answer {n}"
        )
        for n in range(3)
    ]
    normal = model("Task").objects.create(batch=batch, prompt=prompt, needed=3, open_slots=1, done=1)
    practice = model("Task").objects.create(
        batch=batch, prompt=prompt, purpose="training", needed=0, open_slots=0
    )
    for position, response in enumerate(responses):
        model("TaskResponse").objects.create(task=normal, response=response, position=position)
    now = timezone.now()
    assignment = {
        "annotator": user, "leased_until": now, "order_shown": [r.pk for r in responses],
        "settings_version": 1, "guideline_version": 1,
    }  # fmt: skip
    submitted = model("Assignment").objects.create(
        task=normal, presentation_seed=11, state="submitted", submitted_at=now, **assignment
    )
    skipped = model("Assignment").objects.create(
        task=practice, presentation_seed=12, state="skipped",
        evidence={"skip_reason": "Not my language"}, **assignment,
    )  # fmt: skip
    judgment = model("Judgment").objects.create(
        assignment=submitted, task=normal, annotator=user, order_shown=assignment["order_shown"],
        tiers=[[responses[1].pk], [responses[0].pk, responses[2].pk]], strengths=[2], rationale="Clearer.",
        settings_version=1, guideline_version=1, idempotency_key="k" * 12,
    )  # fmt: skip
    model("CurrentJudgment").objects.create(task=normal, annotator=user, judgment=judgment)
    model("GoldAnswer").objects.create(task=practice, tiers=[[responses[0].pk]], author=user)
    model("AnnotatorCursor").objects.create(annotator=user, batch=batch, epoch=7, priority=4, task_id=5)
    model("PreferenceDataset").objects.create(
        project=project, name="d", directory="datasets/d", manifest_sha256="0" * 64, made_by=user
    )
    return {"normal": normal, "practice": practice, "submitted": submitted, "skipped": skipped}


def test_renamed_tables_and_columns_keep_their_rows(rows_before, migrate):
    apps = migrate("0003_plain_names")
    rows = {name: apps.get_model("annotation", name).objects for name in (
        "Assignment", "Batch", "GoldJudgment", "Judgment", "PreferenceDataset", "QueueCursor", "Task", "TaskResponse"
    )}  # fmt: skip
    batch = rows["Batch"].get()
    assert (batch.responses_per_task, batch.queue_version) == (3, 7)
    normal = rows["Task"].get(pk=rows_before["normal"].pk)
    assert (normal.required_judgments, normal.open_slots, normal.counted_judgments) == (3, 1, 1)
    assert rows["Task"].get(pk=rows_before["practice"].pk).purpose == "practice"
    assert list(normal.task_responses.values_list("position", flat=True)) == [0, 1, 2]
    for name, seed, reason in (("submitted", 11, ""), ("skipped", 12, "Not my language")):
        before, after = rows_before[name], rows["Assignment"].get(pk=rows_before[name].pk)
        assert (after.public_id, after.shuffle_seed, after.skip_reason) == (before.handle, seed, reason)
    cursor = rows["QueueCursor"].get()
    assert (cursor.queue_version, cursor.priority, cursor.task_id) == (7, 4, 5)
    assert rows["GoldJudgment"].get().task_id == rows_before["practice"].pk
    assert rows["PreferenceDataset"].get().created_by.username == "ada"
    assert rows["Judgment"].get().rationale == "Clearer."


def test_judgments_stay_append_only_and_splits_frozen_through_the_renames_and_back(rows_before, migrate):
    for name in ("0003_plain_names", "0002_triggers"):
        apps = migrate(name)
        with pytest.raises(IntegrityError), transaction.atomic():
            apps.get_model("annotation", "Judgment").objects.update(rationale="changed")
        with pytest.raises(IntegrityError), transaction.atomic():
            apps.get_model("annotation", "Prompt").objects.update(split="test")
    skipped = apps.get_model("annotation", "Assignment").objects.get(state="skipped")
    assert skipped.evidence == {"skip_reason": "Not my language"}
    assert apps.get_model("annotation", "Task").objects.filter(purpose="training").count() == 1


def test_earlier_imports_are_recorded_with_their_judgments(models_before, migrate):
    apps = migrate("0004_imports")

    def model(name, app="annotation"):
        return apps.get_model(app, name)

    user = model("User", "workspace").objects.create(username="ada", pseudonym="annotator-1")
    project = model("Project", "workspace").objects.create(name="Kitchen", slug="kitchen", split_salt="salt")
    criterion = model("Criterion", "workspace").objects.create(project=project, name="overall", question="?")
    audit = {"project": project, "actor": user, "target_type": "annotation.batch"}
    batches = {}
    for name, visible in (("old.jsonl", True), ("broken (unfinished 1)", False), ("Round 1", True)):
        batch = model("Batch").objects.create(
            project=project, criterion=criterion, name=name, kind="pairwise", responses_per_task=2, overlap=1,
            visible=visible,
        )  # fmt: skip
        model("AuditEvent", "workspace").objects.create(
            action="batch.create", target_id=str(batch.pk), **audit
        )
        prompt = model("Prompt").objects.create(
            project=project, external_id=name, messages=[{"role": "user", "content": " A\u00a0 b?"}],
            split="train", content_hash="0" * 64,
        )  # fmt: skip
        task = model("Task").objects.create(
            batch=batch, prompt=prompt, required_judgments=1, open_slots=0, counted_judgments=1
        )
        common = {"settings_version": 1, "guideline_version": 0, "order_shown": [], "annotator": user}
        assignment = model("Assignment").objects.create(
            task=task, leased_until=timezone.now(), shuffle_seed=1, state="submitted",
            submitted_at=timezone.now(), **common,
        )  # fmt: skip
        model("Judgment").objects.create(
            assignment=assignment, task=task, tiers=[], idempotency_key=name, **common
        )
        batches[name] = batch
    details = {"file": "old.jsonl", "judgments": 1, "tasks": 1}
    model("AuditEvent", "workspace").objects.create(
        action="comparisons.import", target_id=str(batches["old.jsonl"].pk), details=details, **audit
    )
    apps = migrate("0005_earlier_imports")
    imports = apps.get_model("annotation", "Import").objects.order_by("pk")
    assert [(i.state, i.files[0]["name"], i.counts) for i in imports] == [
        ("done", "old.jsonl", {"judgments": 1, "tasks": 1}),
        ("running", "broken (unfinished 1)", {}),
    ]
    judgments = apps.get_model("annotation", "Judgment").objects.order_by("pk")
    assert list(judgments.values_list("from_import__state", flat=True)) == ["done", "running", None]
    hashes = set(apps.get_model("annotation", "Prompt").objects.values_list("first_turn_hash", flat=True))
    assert hashes == {hashlib.sha256(b"a b?").hexdigest()}
    with pytest.raises(IntegrityError), transaction.atomic():
        judgments.update(rationale="changed")
    with pytest.raises(IntegrityError), transaction.atomic():
        judgments.filter(from_import__state="done").delete()


def test_whether_earlier_samples_ended_is_told_by_their_tokens(models_before, migrate):
    apps = migrate("0007_texts")

    def model(name, app="annotation"):
        return apps.get_model(app, name)

    project = model("Project", "workspace").objects.create(name="Kitchen", slug="kitchen", split_salt="salt")
    prompt = model("Prompt").objects.create(
        project=project, external_id="p", messages=[], split="train", content_hash="0" * 64
    )
    sources = [
        model("Source").objects.create(project=project, kind="policy", name=name) for name in ("a", "b")
    ]
    # Of source a, 9 is the end token, as its short sample shows; of source b all samples are as long as the limit.
    samples = {
        "short": (sources[0], [5, 9]),
        "ends at the limit": (sources[0], [5, 6, 9]),
        "cut": (sources[0], [5, 6, 7]),
        "unknown": (sources[1], [5, 6, 9]),
        "imported": (sources[1], None),
    }
    for name, (source, token_ids) in samples.items():
        model("Response").objects.create(
            project=project, external_id=name, prompt=prompt, source=source, text=name, token_ids=token_ids,
            sampling={"max_tokens": 3} if token_ids else None,
        )  # fmt: skip
    responses = migrate("0008_response_ended").get_model("annotation", "Response").objects
    assert dict(responses.values_list("external_id", "ended")) == {
        "short": True,
        "ends at the limit": True,
        "cut": False,
        "unknown": None,
        "imported": None,
    }


def test_which_earlier_tasks_ask_for_a_number_of_their_own(rows_before, migrate_to):
    newest = one_by_one().loader.graph.leaf_nodes("workspace")
    apps = migrate_to(("annotation", "0018_task_questions"), *newest)
    batch = apps.get_model("annotation", "Batch").objects.get()
    task = apps.get_model("annotation", "Task")
    first = task.objects.filter(purpose="normal").get()
    user = apps.get_model("workspace", "User").objects.get(username="ada")

    def add(batch, required, open_slots, counted=0, **values):
        of = {"batch": batch, "prompt_id": first.prompt_id, "required_judgments": required}
        return task.objects.create(open_slots=open_slots, counted_judgments=counted, **of, **values)

    alike, full = add(batch, 2, 0, 2), add(batch, 5, 0, 5)
    reserved = add(batch, 1, 1, reserved_for=user)
    batch.pk, batch.name = None, "Two"
    batch.from_import = apps.get_model("annotation", "Import").objects.create(
        project_id=batch.criterion.project_id, kind="comparisons", format="records", actor=user
    )
    batch.save()
    judged_by_a_file, more = add(batch, 3, 0, 3), add(batch, 4, 1)
    own = (
        migrate_to(("annotation", "0019_own_required"), *newest)
        .get_model("annotation", "Task")
        .objects.filter(own_required=True)
    )
    # The first of the fixture requires 3 in a batch of 2.
    assert set(own.values_list("pk", flat=True)) == {first.pk, full.pk, more.pk}
    assert {alike.pk, reserved.pk, judged_by_a_file.pk}.isdisjoint(own.values_list("pk", flat=True))


def test_the_first_version_upgraded_has_the_tables_of_a_new_site_and_counts_from_its_rows(
    schema_snapshots, rows_before
):
    # As `manage.py migrate` does it, which leaves those out that make a new site at once.
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    assert missing_migrations() == 0
    assert describe_schema() == schema_snapshots.description_of_newest
    # Of three required one is judged by Ada and one slot is open, which is not for her.
    counted = TaskCount.objects.values_list("annotator_id", "available", "submitted").order_by("annotator_id")
    assert list(counted) == [(0, 1, 0), (rows_before["submitted"].annotator_id, -1, 1)]
    assert find_count_differences() == []
