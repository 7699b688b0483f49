"""A policy measured by a reward model: the command's run is the form's, and what the trainer finds is on its page."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from learning.interface.record_files import read_records
from learning.interface.record_schemas import SCORES
from learning.interface.run_directory import RunDirectory
from policy_training.actions import evaluate_policy
from policy_training.evaluation_presets import evaluation_config
from policy_training.figures import policy_figures
from policy_training.models import Policy, PolicyEvaluation
from policy_training.run_kinds import EVALUATE
from policy_training.training.config import EvaluateConfig
from policy_training.training.evaluation import evaluate
from runs.models import Run
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.training.conftest import in_process, reward_model_path  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset, model  # noqa: F401
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.mark.parametrize("preset", ["plain", "secrets"])
def test_command_and_form_ask_the_same(
    client, policy, model, project, max_, write_rows, settings, preset  # noqa: F811
):  # fmt: skip
    settings.MODEL_SERVERS = {"toy": "http://127.0.0.1:9/v1"}
    # Those of the training side are left out.
    splits = ("train", "test", "validation", "test", "train")
    rows = [{"prompt": f"Which animal is {n}?", "split": split} for n, split in enumerate(splits)]
    call_command(
        "import_prompts", "kitchen", write_rows(rows, "asked.jsonl"), "--prompt-set", "asked", verbosity=0
    )
    client.force_login(max_)
    address = reverse("policies:evaluate", args=["kitchen"])
    sent = shown(client, address, preset=preset, policy=policy.pk, reward_model=model.pk, reference=policy.pk)
    sent |= {"prompt_set": project.prompt_sets.get(name="asked").pk, "batch.max_prompt_tokens": "48"}
    served = {"sampling.server.name": "toy", "sampling.repetition_penalty_scope": "prompt_and_response"}
    served = served if preset == "secrets" else {}
    run = started(client.post(address, sent | served | {"batch.max_response_tokens": "12"}))
    call_command(
        "evaluate_policy", "kitchen", "tiny", "--reward-model", "taste", "--prompt-set", "asked", "--reference",
        "tiny", "--preset", preset, "--set", "batch.max_prompt_tokens=48", "batch.max_response_tokens=12",
        *(f"{path}={value}" for path, value in served.items()), verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    # Secrets of RLHF I, 6.1: top-p 0.9, temperature 0.8, repetition penalty 1.1.
    drawn = [run.config["sampling"][name] for name in ("top_p", "temperature", "repetition_penalty")]
    assert drawn == ([1.0, 1.0, 1.0] if preset == "plain" else [0.9, 0.8, 1.1])
    assert run.config["policy_name"] == "tiny"
    if served:
        assert run.config["sampling"]["server"]["name"] == "toy"
        unknown = client.post(address, sent | served | {"sampling.server.name": "away"})
        assert unknown.status_code == 422 and "“away” is not one of this site" in unknown.content.decode()
        preview = client.get(address, sent | served | {"part": "preview"}).content.decode()
        assert "The texts of the prompts go to the server “toy”" in preview
    if preset == "plain":
        execute_and_look(client, run, policy, model)


def test_prompts_that_were_trained_on_measure_nothing(policy, model, project, max_, write_rows):  # noqa: F811
    rows = [{"prompt": f"Which animal is {n}?", "split": "train"} for n in range(3)]
    for purpose in ("policy", "evaluation"):
        file = write_rows(rows, f"{purpose}.jsonl")
        call_command(
            "import_prompts", "kitchen", file, "--prompt-set", purpose, "--purpose", purpose, verbosity=0
        )

    def queue(name):
        run = evaluate_policy(
            actor=max_, project=project, policy=policy, reward_model=model, config=evaluation_config("plain"),
            prompt_set=project.prompt_sets.get(name=name),
        )  # fmt: skip
        return run.parameters["prompt_ids"]

    # The same prompts stand in a set that is trained on and in one kept for evaluation.
    for name in ("policy", "evaluation"):
        with pytest.raises(ActionError, match="held out from training"):
            queue(name)
    file = write_rows([{"prompt": "Kept?", "split": "train", "prompt_id": "kept"}], "more.jsonl")
    call_command(
        "import_prompts",
        "kitchen",
        file,
        "--prompt-set",
        "evaluation",
        "--purpose",
        "evaluation",
        verbosity=0,
    )
    assert queue("evaluation") == ["kept"]


def execute_and_look(client, run, policy, model):  # noqa: F811
    directory = RunDirectory.create(
        run.path, command=EVALUATE.command, config=run.config, inputs=EVALUATE.build_inputs(run)
    )
    result = in_process(evaluate, EvaluateConfig, directory)
    for _ in range(2):  # a worker may be told twice
        EVALUATE.save_result(run, result)
    evaluation = PolicyEvaluation.objects.get()
    assert (evaluation.policy, evaluation.reward_model, evaluation.prompt_set) == (policy, model, "asked")
    assert evaluation.report["responses"] == 3
    # The reference's scores of the same prompts are kept, too; here it is the policy itself.
    own, theirs = (
        {row["prompt_id"]: row["reward"] for row in read_records(run.path / file, SCORES)}
        for file in ("scores.parquet", "reference_scores.parquet")
    )
    assert own == pytest.approx(theirs) and len(own) == 3
    page = client.get(reverse("policies:policy", args=["kitchen", policy.pk])).content.decode()
    assert f"{evaluation.report['score']:.2f} ±" in page
    assert "0 won, 3 tied, 0 lost: 50 % (" in page
    # The distance of a policy to itself.
    assert "0.00 nats to" in page.replace("-0.00", "0.00")


def test_the_figures_of_a_page_are_those_of_the_report():
    trained = Policy(report={"steps": 400, "train_examples": 1200, "tokens": 70_000, "loss_before": 2.3456,
                             "loss_after": 1.2, "parameters": 1_000_000})  # fmt: skip
    assert policy_figures(trained) == [
        ("Optimizer steps", "400"),
        ("Learned from", "1,200 rows, 70,000 tokens"),
        ("Loss on held-out rows", "2.346 → 1.200"),
        ("Parameters", "1,000,000"),
    ]
    hub = {"policy": {"model": "owner/model", "commit": "c" * 40, "revision": None}}
    imported = Policy(report={"imported": {"architecture": "llama", "path": "/x", "hub": hub}})
    assert policy_figures(imported) == [
        ("Architecture", "llama"),
        ("Imported from", "owner/model"),
        ("Commit", "c" * 40),
    ]
    assert policy_figures(Policy(report={})) == []
