"""Batches that a manager leaves out, and batches that are chosen."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.batches.exclusion import exclude_batch, find_batches, include_batch
from annotation.datasets.actions import freeze_dataset
from annotation.datasets.files import dataset_judgments, excluded_batches_note
from annotation.errors import InvalidBatch
from annotation.importing.actions import import_comparisons
from annotation.models import Import, Judgment
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def two_batches(project, max_, tmp_path):
    for name, numbers in (("good", range(3)), ("bad", range(10, 15))):
        path = tmp_path / f"{name}.jsonl"
        rows = [f'{{"prompt": "Q {n}?", "chosen": "a", "rejected": "b"}}' for n in numbers]
        path.write_text("\n".join(rows))
        import_comparisons(actor=max_, project=project, path=path, format="trl", batch_name=name)
    return {batch.name: batch for batch in project.batches.all()}


def test_later_datasets_leave_an_excluded_batch_out_and_say_so(project, max_, two_batches):
    before = freeze_dataset(actor=max_, project=project)
    exclude_batch(actor=max_, batch=two_batches["bad"])
    after = freeze_dataset(actor=max_, project=project)
    assert (before.counts["judgments"], after.counts["judgments"]) == (8, 3)
    assert len(list(dataset_judgments(before))) == 8  # what was frozen stays
    assert {row["batch"] for row in dataset_judgments(after)} == {"good"}
    assert excluded_batches_note(before) == ""
    assert excluded_batches_note(after) == "The batch “bad” is excluded from datasets and left out."
    include_batch(actor=max_, batch=two_batches["bad"])
    assert freeze_dataset(actor=max_, project=project).counts["judgments"] == 8
    actions = (
        AuditEvent.objects.filter(action__startswith="batch.").order_by("pk").values_list("action", flat=True)
    )
    assert list(actions)[-2:] == ["batch.exclude", "batch.include"]


def test_by_command_and_export(project, two_batches, tmp_path):
    def run(*arguments):
        out = StringIO()
        call_command(*map(str, arguments), stdout=out)
        return out.getvalue()

    said = run("exclude_batch", project.slug, "bad")
    assert said == "Later datasets, exports and reward models leave the batch “bad” out.\n"
    said = run("export_preferences", project.slug, tmp_path / "out")
    assert said.startswith("Left out, as excluded from datasets: “bad”.\n")
    with pytest.raises(CommandError, match="The batch “bad” is excluded from datasets"):
        run("export_preferences", project.slug, tmp_path / "two", "--batch", "bad")
    assert run("exclude_batch", project.slug, "bad", "--undo").endswith("in later datasets again.\n")
    assert ": 5 rows" in run("export_preferences", project.slug, tmp_path / "three", "--batch", "bad")
    with pytest.raises(CommandError, match="has no batch named “none”"):
        run("exclude_batch", project.slug, "none")


def test_batches_are_chosen_by_name(project, two_batches):
    assert find_batches(project, None) is None
    assert find_batches(project, ["bad", "good", "bad"]) == [two_batches["bad"], two_batches["good"]]
    with pytest.raises(InvalidBatch, match="has no batch named “x”"):
        find_batches(project, ["x"])


def test_a_manager_takes_an_import_back_and_excludes_a_batch_in_the_browser(
    client, project, max_, two_batches
):
    client.force_login(max_)
    page = reverse("data:imports", args=[project.slug])
    shown = client.get(page).content.decode()
    assert "bad.jsonl" in shown and "5 judgments, 5 tasks, 1 annotator" in shown
    batch = two_batches["good"]
    client.post(reverse("annotation:exclude_batch", args=[project.slug, batch.pk]))
    batch.refresh_from_db()
    assert batch.excluded
    shown = client.get(reverse("annotation:batch", args=[project.slug, batch.pk])).content.decode()
    assert "Excluded from datasets" in shown
    client.post(reverse("annotation:exclude_batch", args=[project.slug, batch.pk]), {"undo": "1"})
    freeze_dataset(actor=max_, project=project, batches=[batch])
    bad = Import.objects.get(files__0__name="bad.jsonl")
    answer = client.post(reverse("data:undo_import", args=[project.slug, bad.pk]), follow=True)
    assert "Taken back: 5 judgments, 5 tasks, 10 responses, 5 prompts." in answer.content.decode()
    assert Judgment.objects.current().count() == 3
    good = Import.objects.get(files__0__name="good.jsonl")
    answer = client.post(reverse("data:undo_import", args=[project.slug, good.pk]), follow=True)
    assert "stays: the dataset “dataset 1” was made with it" in answer.content.decode()
