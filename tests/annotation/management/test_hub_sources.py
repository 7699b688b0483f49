"""Datasets that only the `datasets` library reads; its own process, without network."""

import json

import pytest

from annotation.models import Judgment, Response
from tests.annotation.management.test_commands import refusal, run

pytestmark = [pytest.mark.db, pytest.mark.django_db]

CARD = """---
configs:
- config_name: tea
  data_files:
  - split: train
    path: tea/part.jsonl
  - split: test
    path: tea/held_out.jsonl
- config_name: soup
  data_files: soup/part.jsonl
---
# Tea and soup
"""


@pytest.fixture
def repository(tmp_path):
    """A folder laid out like a dataset of the hub, with two configurations."""
    folder = tmp_path / "kitchen-pairs"
    for name, texts in (("tea/part", ["a", "b"]), ("tea/held_out", ["c"]), ("soup/part", ["d"])):
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"prompt": f"{text}?", "chosen": f"{text} good", "rejected": f"{text} bad"} for text in texts]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))


def test_a_configuration_of_a_dataset_repository_is_read_through_the_library(project, repository):
    said, _ = refusal("import_comparisons", project.slug, repository, "--format", "trl")
    assert said == f"{repository} has several configurations (tea, soup): name one with --config."
    assert not Judgment.objects.exists()
    said = run("import_comparisons", project.slug, repository, "--format", "trl", "--config", "tea")
    assert "kitchen-pairs: 3 judgments, 3 tasks" in said
    best = [
        Response.objects.get(pk=judgment.tiers[0][0]).text for judgment in Judgment.objects.order_by("pk")
    ]
    assert best == ["a good", "b good", "c good"]


def test_a_hub_dataset_that_cannot_be_fetched_is_one_sentence(project):
    said, _ = refusal("import_prompts", project.slug, "nobody/nothing")
    assert said.startswith(
        "There is no file nobody/nothing, and as a dataset of the hub it could not be fetched: "
    )
