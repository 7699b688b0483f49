import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from annotation.datasets.days import begin_of, end_of
from annotation.datasets.names import find_dataset
from annotation.models import PreferenceDataset
from tests.annotation.exporting.conftest import bring, ranked_rows, write_rows  # noqa: F401
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_a_dataset_by_command(project, max_, bring, capsys):  # noqa: F811
    bring(list(ranked_rows(12)), "ranked")
    call_command("freeze_dataset", project.slug, "first", "--licence", "cc-by-4.0", "--max-characters", "500")
    call_command("freeze_dataset", project.slug, "first", "--new-version", "--since", "2020-01-01")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        f"The dataset “first” of {project.slug}: 12 judgments, 12 counted, 12 tasks.",
        f"The dataset “first, version 2” of {project.slug}: 12 judgments, 12 counted, 12 tasks.",
    ]
    first, second = PreferenceDataset.objects.order_by("pk")
    assert (first.licence, first.filters["max_characters"]) == ("cc-by-4.0", 500)
    assert second.filters["since"] == "2020-01-01T00:00:00.000000Z"
    assert find_dataset(project, "first") == second
    assert find_dataset(project, "first@1") == first
    for arguments, sentence in (
        (["first"], "already: take another name"),
        (["second", "--until", "yesterday"], "yesterday is no date: write it as 2026-11-28"),
        (["second", "--min-agreement", "0.5"], "none meets the conditions"),
        (["second", "--min-agreement", "2"], "is no share"),
        (["second", "--round", "7"], "has no judgments of this selection"),
    ):
        with pytest.raises(CommandError, match=sentence) as refused:
            call_command("freeze_dataset", project.slug, *arguments)
        assert refused.value.returncode == 2
    with pytest.raises(ActionError, match="has no dataset first@3. There is: first."):
        find_dataset(project, "first@3")


def test_days_are_those_of_the_project(project):
    project.time_zone = "Asia/Kathmandu"  # 5 hours 45 minutes ahead
    assert begin_of(project, "2026-03-01").isoformat() == "2026-03-01T00:00:00+05:45"
    assert end_of(project, "2026-02-28") == begin_of(project, "2026-03-01")
    assert end_of(project, "2026-02-28T09:30").isoformat() == "2026-02-28T09:30:00+05:45"
