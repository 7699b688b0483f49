"""The kinds of the tests: one that counts, and one that trains a small model."""

from collections.abc import Mapping
from typing import Any

from learning.interface.record_schemas import PROMPTS
from runs.models import Run
from runs.run_kinds import Output, RunKind
from tests.runs.counting_config import CountingOptions
from workspace.errors import ActionError
from workspace.models import Criterion


def build_inputs(run: Run) -> Mapping[str, Any]:
    if run.parameters.get("inputs") == "missing":
        raise ActionError("There are no prompts to count: import some first.")
    rows = [
        {
            "prompt_id": f"p{number}",
            "messages": [{"role": "user", "content": f"How many {criterion.name}?"}],
            "kind": "plain",
            "split": "train",
            "author": None,
            "tags": [],
        }
        for number, criterion in enumerate(run.project.criteria.order_by("pk"), start=1)
    ]
    return {"prompts": (rows, PROMPTS)}


def save_result(run: Run, result: Mapping[str, Any]) -> None:
    """One row a run, so that a test can count how often it is saved: a second insert would break its uniqueness."""
    if run.parameters.get("save_result") == "refuse":
        raise ActionError("The count is not what was asked for.")
    Criterion.objects.create(project=run.project, name=f"run-{run.pk}", question=result["digest"])


COUNTING = RunKind(
    name="tests.counting",
    label="Counting",
    command="tests.runs.counting",
    build_inputs=build_inputs,
    save_result=save_result,
    outputs=(Output(kind="responses", path="model"),),
    options=CountingOptions,
)


def keep_the_artifact(run: Run, result: Mapping[str, Any]) -> None:
    assert run.artifacts.get().kind == "policy" and result["loss"] > 0


TRAINING = RunKind(
    name="tests.training",
    label="Training a small model",
    command="tests.learning.small_recipe",
    build_inputs=lambda run: {},
    save_result=keep_the_artifact,
    outputs=(Output(kind="policy", path="model"),),
)
