"""A checkpoint of a training becomes a reward model: the page's button, the command and the API ask for the same."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from learning.interface.options import load_options
from learning.interface.run_directory import RunDirectory
from rewardmodel.checkpoints import adopt_reward_checkpoint
from rewardmodel.models import RewardModel
from rewardmodel.run_kinds import ADOPT, TRAIN
from rewardmodel.training.config import AdoptConfig
from runs.freeing import free_intermediates
from runs.models import Artifact, Run
from tests.policy_training.test_forms import same
from tests.rewardmodel.test_actions import judge, train  # noqa: F401
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def write_checkpoint(run, name, step, score=None):
    folder = run.path / "checkpoints" / name
    folder.mkdir(parents=True)
    (folder / "complete.json").write_text(json.dumps({"step": step, "score": score}))


@pytest.fixture
def training(judge, train):  # noqa: F811
    for split in ("train", "train", "validation"):
        judge(split, tie=False)
    run = train()
    RunDirectory.create(run.path, command=TRAIN.command, config=run.config, inputs=TRAIN.build_inputs(run))
    for name, step, score in (("step-000020.f1", 20, 0.75), ("step-000040.f1", 40, None)):
        write_checkpoint(run, name, step, score)
    return run


def test_button_command_and_api_ask_for_the_same_reward_model(client, training, project, max_):
    client.force_login(max_)
    page = client.get(reverse("runs:run", args=["kitchen", training.pk])).content.decode()
    assert "step 20 (held-out accuracy 0.75)" in page and "A checkpoint as a reward model" in page
    assert "Scores of held-out prompts" not in page
    answer = client.post(
        reverse("reward_models:adopt", args=["kitchen", training.pk]), {"step": "40", "name": "early"}
    )
    run = Run.objects.latest("pk")
    assert answer.url == reverse("runs:run", args=["kitchen", run.pk])
    assert run.config["checkpoint_path"] == f"runs/{training.directory}/checkpoints/step-000040.f1"
    load_options(AdoptConfig, run.config)
    assert {**run.config, "checkpoint_path": None} == {**training.config, "checkpoint_path": None}
    call_command("adopt_reward_checkpoint", "kitchen", str(training.pk), "40", "early", stdout=StringIO())
    assert same(run, Run.objects.latest("pk"))
    answer = client.post(
        "/api/v1/projects/kitchen/reward-model-trainings/adopt",
        {"run": training.pk, "step": 40, "name": "early"},
        content_type="application/json",
    )
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))

    # The very rows of the training, whatever the project has by now.
    made = RunDirectory.create(
        run.path, command=ADOPT.command, config=run.config, inputs=ADOPT.build_inputs(run)
    )
    sums = [
        {name: file["sha256"] for name, file in directory.manifest().items()}
        for directory in (made, RunDirectory(training.path))
    ]
    assert sums[0] == sums[1] and sums[0]

    Artifact.objects.create(
        project=project, kind="reward_model", path="models/e", sha256="2" * 64, size_bytes=1, produced_by=run
    )
    for _ in range(2):  # a worker may be told twice
        ADOPT.save_result(run, {"checkpoint_step": 40, "steps": 40})
    adopted = RewardModel.objects.get(name="early")
    assert (adopted.produced_by, adopted.dataset_id) == (run, training.parameters["dataset"])
    assert list(adopted.criteria.all()) == list(project.criteria.all())
    page = client.get(reverse("reward_models:reward_model", args=["kitchen", adopted.pk])).content.decode()
    assert "A checkpoint of" in page and reverse("runs:run", args=["kitchen", training.pk]) in page
    assert "step 40 of a training that went on" in page


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"step": 60}, "no checkpoint of step 60; it has 20, 40"),
        ({"name": " "}, "needs a name"),
        ({"name": "x" * 121}, "at most 120"),
    ],
)
def test_what_cannot_be_adopted_is_one_sentence(training, project, max_, change, sentence):
    asked = {"actor": max_, "project": project, "run": training, "step": 20, "name": "early"} | change
    with pytest.raises(ActionError, match=sentence):
        adopt_reward_checkpoint(**asked)
    assert Run.objects.count() == 1


def test_other_runs_have_no_checkpoints_of_a_reward_model(client, training, project, max_):
    Run.objects.filter(pk=training.pk).update(kind="policy.ppo")
    training.refresh_from_db()
    with pytest.raises(ActionError, match="of others not"):
        adopt_reward_checkpoint(actor=max_, project=project, run=training, step=20, name="early")
    client.force_login(max_)
    assert client.post(reverse("reward_models:adopt", args=["kitchen", 999_999]), {}).status_code == 404


def test_without_the_training_s_inputs_it_says_so(training, project, max_):
    run = adopt_reward_checkpoint(actor=max_, project=project, run=training, step=20, name="early")
    (training.path / "inputs" / "comparisons.parquet").unlink()
    with pytest.raises(ActionError, match="has no inputs any more"):
        ADOPT.build_inputs(run)


def test_the_best_checkpoint_before_an_alarm_stays_when_the_run_is_done(training):
    """Of a run that ended with it the model is that checkpoint's already."""
    training.state = "done"
    result = training.path / "result.json"
    result.write_text(json.dumps({"alarms": ["Alarm at step 30."], "ended_early_at_step": None}))
    write_checkpoint(training, "step-000010.f1", 10, 0.5)
    free_intermediates(training)
    assert [path.name for path in (training.path / "checkpoints").iterdir()] == ["step-000020.f1"]
    result.write_text(json.dumps({"alarms": ["Alarm at step 30."], "ended_early_at_step": 20}))
    free_intermediates(training)
    assert not (training.path / "checkpoints").exists()


def test_the_checkpoints_that_were_asked_for_stay_when_the_run_is_done(training):
    training.config["runtime"]["keep_steps"] = [20]
    training.state = "done"
    (training.path / "shards").mkdir()
    free_intermediates(training)
    assert [path.name for path in (training.path / "checkpoints").iterdir()] == ["step-000020.f1"]
    assert not (training.path / "shards").exists()
    training.config["runtime"]["keep_steps"] = []
    free_intermediates(training)
    assert not (training.path / "checkpoints").exists()
