"""A policy measured and selected, as rows without the files of the runs: enough for the pages."""

from policy_training.evaluation_presets import evaluation_config
from policy_training.models import PolicyEvaluation, PolicySelection
from policy_training.selecting.actions import pin_policy
from runs.models import Run


def make_selection(project, actor, policy, reward_model):
    """The policy evaluated beside itself, selected by a rule, and pinned."""
    run = Run.objects.create(
        project=project, kind="policy.evaluate", title="Evaluate", requested_by=actor,
        config=evaluation_config("plain") | {
            "policy": {"path": "/x"}, "reward_model_path": "/y", "reference": {"path": "/x"},
        },
        parameters={"policy": policy.pk, "prompt_ids": ["p"]},
    )  # fmt: skip
    PolicyEvaluation.objects.create(
        policy=policy, reward_model=reward_model, reference=policy, prompt_set="questions", produced_by=run,
        report={"score": 1.5, "score_standard_error": 0.2, "kl": 2.0},
    )  # fmt: skip
    figures = {
        "policy": policy.pk, "name": policy.name, "reward": 1.5, "standard_error": 0.2, "kl": 2.0, "win_rate": None,
        "measured_by": {"kind": "evaluation", "id": 1, "run": run.pk}, "admitted": True, "difference": None,
    }  # fmt: skip
    difference = {"mean": 0.125, "low": -0.25, "high": 0.5, "prompts": 40, "settled": False}
    second = figures | {"name": "second", "reward": 1.375, "difference": difference}
    selection = PolicySelection.objects.create(
        project=project, policy=policy, rule="one_standard_error", chosen_by=actor,
        report={
            "candidates": [figures, second], "runner_up": 1, "figure": "reward", "prompts": 40,
            "reward_model": reward_model.name, "prompt_set": "questions", "reference": policy.name,
        },
    )  # fmt: skip
    pin_policy(actor=actor, project=project, policy=policy, selection=selection)
    return selection
