"""Datasets as archives: the same files as by command, nothing left on the disk, for managers alone."""

import io
import zipfile
from pathlib import Path

import pytest
from django.urls import reverse

from annotation.datasets import shards
from annotation.datasets.actions import freeze_dataset
from annotation.exporting.actions import export_preferences, stream_preferences
from annotation.exporting.formats.base import ExportRefused
from annotation.exporting.formats.registry import EXPORT_FORMATS
from tests.annotation.exporting.conftest import ranked_rows
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def dataset(project, max_, bring):
    bring(list(ranked_rows(60)), "ranked")
    return freeze_dataset(actor=max_, project=project, name="Käse & Tee")


def unpacked(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def left(settings):
    return list((Path(settings.DATA_DIR) / "downloads").rglob("*"))


@pytest.mark.parametrize("format", EXPORT_FORMATS)
def test_an_archive_has_the_files_of_the_command_to_the_byte(
    client, project, max_, dataset, tmp_path, settings, monkeypatch, format
):
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 20)
    monkeypatch.setattr(shards, "ROWS_PER_GROUP", 10)
    export_preferences(actor=max_, dataset=dataset, out=tmp_path / "out", format=format)
    client.force_login(max_)
    answer = client.get(reverse("data:dataset_archive", args=[project.slug, dataset.pk]), {"format": format})
    found = unpacked(answer.getvalue())
    folder = f"{project.slug}-käse-tee-{format}"
    assert answer["Content-Disposition"].startswith("attachment; filename")
    assert found == {
        f"{folder}/{path.relative_to(tmp_path / 'out').as_posix()}": path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert left(settings) == []
    assert AuditEvent.objects.filter(action="preferences.download", target_id=str(dataset.pk)).count() == 1


def test_who_breaks_off_leaves_nothing_behind(max_, dataset, settings, monkeypatch):
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 10)
    monkeypatch.setattr(shards, "ROWS_PER_GROUP", 5)
    _, content = stream_preferences(actor=max_, dataset=dataset, format="judgments")
    assert next(content)
    # What is written now, not what is still to come.
    assert 0 < sum(path.is_file() for path in left(settings)) <= 4
    content.close()
    assert left(settings) == []


def test_what_is_refused_is_said_on_the_form(client, project, max_, dataset, settings):
    client.force_login(max_)
    address = reverse("data:dataset_archive", args=[project.slug, dataset.pk])
    for asked, said in (
        ({"format": "moon"}, "Select a valid choice. moon"),
        ({"format": "judgments", "ties": "soft"}, "The format judgments has no option ties"),
        ({"format": "csv", "files": "parquet"}, "The format csv is written as csv, not parquet."),
    ):
        answer = client.get(address, asked)
        assert answer.status_code == 422 and said in answer.content.decode()
    with pytest.raises(ExportRefused, match="There is no split"):
        stream_preferences(actor=max_, dataset=dataset, split="moon")
    assert left(settings) == []


def test_only_managers_download(client, project, ada, ruth, max_, olga, dataset):
    for person in (ada, ruth, olga, max_):
        client.force_login(person)
        for name in ("download_dataset", "dataset_archive"):
            address = reverse(f"data:{name}", args=[project.slug, dataset.pk])
            answer = client.get(address, {"format": "records"})
            assert answer.status_code == (200 if person == max_ else 404), (person, name)
            if answer.streaming:
                answer.getvalue()
