"""Which runs have curves: a page does not miss what a kind never writes."""

import dataclasses
import json
import typing

import pytest
from django.urls import reverse

from learning.interface.training_options import OptimizerOptions
from rounds.worker_tasks import RUN_KINDS
from runs.models import Run
from runs.run_files import WITH_CURVES


def has_optimizer(options: type) -> bool:
    hints = typing.get_type_hints(options)
    return any(hints[field.name] is OptimizerOptions for field in dataclasses.fields(options))


def test_kinds_with_curves_are_those_that_train():
    """A training has an optimizer; to adopt a checkpoint takes the options of its training and goes no step."""
    trains = {kind.name for kind in RUN_KINDS if kind.options and has_optimizer(kind.options)}
    assert trains - {"rewardmodel.adopt"} == WITH_CURVES


@pytest.mark.db
@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "expected"), [("policy.evaluate", False), ("policy.dpo", True)])
def test_curves_and_steps_stand_on_the_pages_of_trainings(
    client, project, max_, settings, tmp_path, kind, expected
):
    settings.DATA_DIR = tmp_path
    run = Run.objects.create(
        project=project, kind=kind, title="A run", requested_by=max_, config={}, parameters={},
        directory="a-run",
    )  # fmt: skip
    run.path.mkdir(parents=True)
    sample = {"step": 0, "prompt": "Tea?", "response": "Boil water."}
    (run.path / "samples.jsonl").write_text(json.dumps(sample) + "\n")
    client.force_login(max_)
    page = client.get(reverse("runs:run", args=["kitchen", run.pk])).content.decode()
    assert "Boil water." in page
    assert ('id="curves"' in page) is expected and ("Step 0" in page) is expected
