"""Policies that were evaluated and compared, as their runs leave it: rows, and files with a score a prompt."""

import json
from uuid import uuid4

import pytest

from annotation.models import PreferenceDataset
from learning.interface.options import options_to_dict
from learning.interface.record_files import write_records
from learning.interface.record_schemas import SCORES
from learning.interface.training_options import ModelSource
from policy_training.comparing.actions import comparison_config
from policy_training.evaluation_presets import evaluation_config
from policy_training.models import Policy, PolicyComparison, PolicyEvaluation
from policy_training.training.evaluation.config import Contestant
from rewardmodel.models import RewardModel
from runs.models import Artifact, Run


@pytest.fixture
def make_policy(project):
    def make(name):
        artifact = Artifact.objects.create(
            project=project, kind="policy", path=f"models/{name}", sha256="0" * 64, size_bytes=1
        )
        source = project.sources.create(kind="policy", name=name)
        return Policy.objects.create(project=project, name=name, artifact=artifact, source=source)

    return make


@pytest.fixture
def make_reward_model(project, criterion, max_):
    def make(name):
        run = Run.objects.create(
            project=project,
            kind="rewardmodel.train",
            title=name,
            requested_by=max_,
            config={},
            directory=name,
        )
        artifact = Artifact.objects.create(
            project=project, kind="reward_model", path=f"models/{name}", sha256="0" * 64, size_bytes=1
        )
        dataset = PreferenceDataset.objects.create(
            project=project, name=name, criterion=criterion, directory=name, created_by=max_
        )
        return RewardModel.objects.create(
            project=project, name=name, artifact=artifact, dataset=dataset, produced_by=run
        )

    return make


@pytest.fixture
def taste(make_reward_model):
    return make_reward_model("taste")


@pytest.fixture
def base(make_policy):
    return make_policy("base")


@pytest.fixture
def evaluated(project, max_, taste, base):
    """evaluated(policy, scores, kl, **changed): an evaluation with one answer a prompt."""

    def evaluate(
        policy, scores, kl=0.0, *, reference=base, theirs=None, reward_model=taste, sets=(), prompt_set="asked",
        ids=None,
    ):  # fmt: skip
        ids = ids or [f"p{n}" for n in range(len(scores))]
        run = Run.objects.create(
            project=project, kind="policy.evaluate", title=f"Evaluate {policy.name}", requested_by=max_,
            directory=f"evaluated-{uuid4().hex}",
            config=evaluation_config("plain", sets) | {
                "policy": {"path": "/x"}, "reward_model_path": "/y",
                "reference": {"path": "/z"} if reference else None,
            },
            parameters={"policy": policy.pk, "prompt_ids": ids},
        )  # fmt: skip
        run.path.mkdir(parents=True)
        for file, values in (("scores", scores), ("reference_scores", theirs)):
            rows = [
                {"response_id": f"{key}-0", "prompt_id": key, "reward": float(value)}
                for key, value in zip(ids, values or (), strict=True)
            ] if values else []  # fmt: skip
            if rows:
                write_records(run.path / f"{file}.parquet", rows, SCORES)
        mean = sum(scores) / len(scores)
        return PolicyEvaluation.objects.create(
            policy=policy, reward_model=reward_model, reference=reference, prompt_set=prompt_set, produced_by=run,
            report={"score": mean, "score_standard_error": 0.1, "kl": kl if reference else None,
                    "reward_model_sha256s": {"model": "a"}},
        )  # fmt: skip

    return evaluate


@pytest.fixture
def compared(project, max_, taste, base):
    """compared({policy: (scores, kl)}, own scores): the base beside others, as the run leaves it."""

    def compare(others, own, *, judged=None, of_run=None, steps=()):
        ids = [f"p{n}" for n in range(len(own))]
        names = [policy.name for policy in others] or [f"step {step}" for step, _, _ in steps]
        contestants = [Contestant(name=name, source=ModelSource(path="/x")) for name in names]
        run = Run.objects.create(
            project=project, kind="policy.compare", title="Compare", requested_by=max_,
            directory=f"compared-{uuid4().hex}",
            config=comparison_config() | {
                "policy": {"path": "/x"}, "reward_model_path": "/y",
                "others": [options_to_dict(one) for one in contestants],
            },
            parameters={
                "prompt_ids": ids,
                "others": [{"kind": "policy", "policy": policy.pk, "name": policy.name} for policy in others]
                or [{"kind": "checkpoint", "name": f"step {step}", "step": step} for step, _, _ in steps],
            },
        )  # fmt: skip
        folder = run.path / "answers"
        folder.mkdir(parents=True)
        for place, scores in enumerate([own, *(scores for scores, _ in others.values())], start=-1):
            kept = {"figures": {}, "scores": dict(zip(ids, scores, strict=True))}
            (folder / f"{place}.json").write_text(json.dumps(kept))
        if judged is not None:
            (run.path / "judged.json").write_text(
                json.dumps([dict(zip(ids, said, strict=True)) for said in judged])
            )
        by = {"server": "toy", "model": "judge-1", "question": "?", "template_version": 1}
        return PolicyComparison.objects.create(
            project=project, policy=base, reward_model=taste, prompt_set="asked", produced_by=run, of_run=of_run,
            report={
                "policy": {"score": sum(own) / len(own)}, "judge": by if judged is not None else None,
                "reward_model_sha256s": {"model": "a"},
                "others": [
                    {"name": policy.name, "score": sum(scores) / len(scores), "kl": kl, "step": None}
                    for policy, (scores, kl) in others.items()
                ]
                + [{"name": f"step {step}", "step": step, "score": score, "kl": kl} for step, score, kl in steps],
            },
        )  # fmt: skip

    return compare
