"""No action starts work on another project's rows, whoever calls it: pages and commands look rows up in the project,
and rounds and programs that call actions themselves do not always.
"""

import ast
import importlib
from pathlib import Path

import pytest
from django.db import transaction

from policy_training.dpo.actions import dpo_config
from policy_training.models import BenchmarkFile
from policy_training.supervised.preferred_answers import PreferredAnswers
from rewardmodel.models import RewardModel
from runs.models import Artifact, Run
from tests.policy_training.test_rewarded_site import prompt_set  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset  # noqa: F401
from workspace.actions import create_project
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]
ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    "policy_training.actions",
    "policy_training.checkpoints",
    "policy_training.merging",
    "policy_training.benchmarks.actions",
    "policy_training.dpo.actions",
    "policy_training.rewarded.actions",
    "rewardmodel.actions",
    "rewardmodel.checkpoints",
    "rewardmodel.start_training",
)
# What each action is given beside actor, project and rows, and its rows by what they are.
PLAIN = {"name": "new", "config": {}}
REWARDED = ("start", "reward_model", "prompt_set")
JUDGED = {"preset": "tiny", "name": "new"}
ON_JUDGMENTS = {"config": dpo_config("tiny"), "name": "new"}
ACTIONS = {
    "train_sft": (PLAIN | {"preferred": PreferredAnswers(at_least=0.5)}, ("parent", "batches")),
    "pretrain": (PLAIN | {"data": "demonstrations"}, ("parent",)),
    "sample_responses": ({"config": {}, "id_prefix": "x-"}, ("policy", "prompts")),
    "sample_tasks": ({"config": {}}, ("policies", "prompt_set", "criterion")),
    "evaluate_policy": ({"config": {}}, ("policy", "reward_model", "prompt_set", "reference")),
    "adopt_checkpoint": ({"name": "new", "step": 1}, ("run",)),
    "adopt_reward_checkpoint": ({"name": "new", "step": 1}, ("run",)),
    "merge_policies": ({"name": "new"}, ("policies",)),
    "benchmark_policies": ({"config": {}}, ("policies", "file")),
    "train_dpo": (
        {"name": "new", "config": dpo_config("tiny")},
        ("start", "reference", "dataset", "criteria", "batches"),
    ),
    "train_ppo": (PLAIN, (*REWARDED, "reference")),
    "train_policy_gradient": (PLAIN, (*REWARDED, "reference")),
    "train_best_of_n": (PLAIN, (*REWARDED, "samplers")),
    "train_reward_model": (PLAIN, ("criteria", "dataset", "base")),
    "score_responses": ({}, ("reward_model", "responses")),
    "evaluate_reward_model": ({}, ("reward_model", "dataset")),
    "start_training": (JUDGED, ("base", "dataset", "criteria", "batches")),
}


def found_actions():
    """Public functions of these modules that make runs: {name: (module, its definition)}."""
    found = {}
    for module in MODULES:
        for node in ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text()).body:
            makes_runs = isinstance(node, ast.FunctionDef) and node.returns is not None
            if makes_runs and ast.unparse(node.returns) in ("Run", "list[Run]") and node.name[0] != "_":
                found[node.name] = (module, node)
    return found


def test_every_action_that_starts_a_run_is_in_the_table_with_all_its_rows():
    found = found_actions()
    assert set(found) == set(ACTIONS)
    plain = {
        "str",
        "int",
        "float",
        "bool",
        "None",
        "Any",
        "Mapping",
        "Sequence",
        "Collection",
        "Literal",
        "dict",
        "Run",
    }
    for name, (_, node) in found.items():
        rows = {
            argument.arg
            for argument in node.args.kwonlyargs
            if argument.arg not in ("actor", "project")
            and {part.id for part in ast.walk(argument.annotation) if isinstance(part, ast.Name)}
            - plain - {"RatedAnswers", "PreferredAnswers", "RatingChoice", "StoredAnswers", "PromptMixture"}
        }  # fmt: skip
        assert rows <= set(ACTIONS[name][1]) | {"run"}, name


@pytest.fixture
def rows(project, policy, dataset, prompt_set, max_):  # noqa: F811
    """Rows of the project by the arguments' names."""
    criterion = project.criteria.first()
    run = Run.objects.create(project=project, kind="policy.ppo", title="PPO", config={}, requested_by=max_)
    artifact = Artifact.objects.create(
        project=project, kind="reward_model", path="no/such", sha256="0" * 64, size_bytes=1
    )
    file = BenchmarkFile.objects.create(
        project=project, name="tasks", content="", sha256="0" * 64, summary={}, added_by=max_
    )
    return {
        **dict.fromkeys(("parent", "policy", "reference", "start"), policy),
        **dict.fromkeys(("policies", "samplers"), [policy]),
        "prompts": list(prompt_set.prompts.all()[:1]),
        "responses": list(project.responses.all()[:1]),
        "prompt_set": prompt_set,
        "criterion": criterion,
        "criteria": [criterion],
        "batches": [project.batches.first()],
        "reward_model": RewardModel.objects.create(
            project=project, name="taste", artifact=artifact, dataset=dataset, produced_by=run
        ),
        "dataset": dataset,
        "base": policy.artifact,
        "run": run,
        "file": file,
    }


@pytest.mark.parametrize("action", ACTIONS)
def test_a_row_of_another_project_is_refused(action, rows, project, max_):
    other = create_project(actor=max_, name="Garden")
    more, names = ACTIONS[action]
    module, _ = found_actions()[action]
    perform = getattr(importlib.import_module(module), action)
    runs = Run.objects.count()
    for row in names:
        # Judgments are a dataset's or those of batches.
        given = {name: rows[name] for name in names if name == row or name not in ("dataset", "batches")}
        if action in ("train_reward_model", "evaluate_reward_model"):
            given["dataset"] = rows["dataset"]
        foreign = given[row][0] if isinstance(given[row], list) else given[row]
        foreign.project = other  # as it would be in the database
        with pytest.raises(ActionError) as refused, transaction.atomic():
            perform(actor=max_, project=project, **given, **more)
        foreign.project = project
        assert refused.value.code == "wrong_project", (row, refused.value)
        assert str(foreign) in refused.value.message
    assert Run.objects.count() == runs
