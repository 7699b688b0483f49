"""A checkpoint of a training becomes a policy: the page's button, the command and the API ask for the same."""

import json
from io import StringIO

import pytest
import torch
from django.core.management import call_command
from django.urls import reverse

from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelArchitecture, ModelSource
from learning.models.sizes import role_sizes, sizes_as_rows
from policy_training.checkpoints import adopt_checkpoint
from policy_training.models import Policy
from policy_training.run_kinds import ADOPT
from runs.freeing import free_intermediates
from runs.models import Artifact, Run
from tests.policy_training.test_forms import same
from tests.policy_training.training.conftest import reward_model_path  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset, model  # noqa: F401
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def ppo_run(project, policy, max_):
    run = Run.objects.create(
        project=project, kind="policy.ppo", title="PPO: tiny to new", config={}, requested_by=max_,
        parameters={"name": "new", "parent": policy.pk, "reward_model": None},
    )  # fmt: skip
    for name, step, score in (
        ("step-000020.f1", 20, 1.5),
        ("step-000040.f1", 40, None),
        ("step-000040.f2", 40, None),
    ):
        folder = run.path / "checkpoints" / name
        folder.mkdir(parents=True)
        (folder / "complete.json").write_text(json.dumps({"step": step, "score": score}))
    (run.path / "checkpoints" / "step-000060.f2").mkdir()  # not complete
    return run


def test_button_command_and_api_ask_for_the_same_policy(client, ppo_run, policy, project, max_):
    client.force_login(max_)
    page = client.get(reverse("runs:run", args=["kitchen", ppo_run.pk])).content.decode()
    assert "step 20 (score minus KL penalty 1.50)" in page and "step 60" not in page
    answer = client.post(
        reverse("policies:adopt", args=["kitchen", ppo_run.pk]), {"step": "40", "name": "early"}
    )
    run = Run.objects.latest("pk")
    assert answer.url == reverse("runs:run", args=["kitchen", run.pk])
    assert run.config["checkpoint_path"] == f"runs/{ppo_run.directory}/checkpoints/step-000040.f2"
    assert (run.parameters["parent"], run.parameters["adopted_from"]) == (policy.pk, ppo_run.pk)
    call_command("adopt_checkpoint", "kitchen", str(ppo_run.pk), "40", "early", stdout=StringIO())
    assert same(run, Run.objects.latest("pk"))
    answer = client.post(
        "/api/v1/projects/kitchen/policy-trainings/adopt",
        {"run": ppo_run.pk, "step": 40, "name": "early"},
        content_type="application/json",
    )
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))

    Artifact.objects.create(
        project=project, kind="policy", path="models/early", sha256="2" * 64, size_bytes=1, produced_by=run
    )
    for _ in range(2):  # a worker may be told twice
        ADOPT.save_result(run, {"steps": 40})
    adopted = Policy.objects.get(name="early")
    assert (adopted.parent, adopted.produced_by, adopted.report["steps"]) == (policy, run, 40)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"step": 60}, "no checkpoint of step 60; it has 20, 40"),
        ({"name": " "}, "needs a name"),
        ({"name": "tiny"}, "tiny"),
    ],
)
def test_what_cannot_be_adopted_is_one_sentence(ppo_run, project, max_, change, sentence):
    asked = {"actor": max_, "project": project, "run": ppo_run, "step": 20, "name": "early"} | change
    with pytest.raises(ActionError, match=sentence):
        adopt_checkpoint(**asked)
    assert Run.objects.count() == 1


def test_a_policy_gradient_s_checkpoint_becomes_a_policy_too(client, ppo_run, project, max_):
    Run.objects.filter(pk=ppo_run.pk).update(kind="policy.gradient")
    ppo_run.refresh_from_db()
    client.force_login(max_)
    page = client.get(reverse("runs:run", args=["kitchen", ppo_run.pk])).content.decode()
    assert "step 20 (score minus KL penalty 1.50)" in page and "Scores of held-out prompts" in page
    run = adopt_checkpoint(actor=max_, project=project, run=ppo_run, step=20, name="early")
    assert run.config["checkpoint_path"].endswith("step-000020.f1")


@pytest.mark.parametrize(
    ("kind", "step"),
    [("sft", "40"), ("pretrain", "40"), ("best_of_n", "40"), ("dpo", "20 (held-out accuracy 1.50)")],
)
def test_checkpoints_of_every_recipe_become_policies(client, ppo_run, policy, project, max_, kind, step):
    ppo_run.kind, ppo_run.parameters = f"policy.{kind}", {"name": "new", "parent": policy.pk, "dataset": 7}
    ppo_run.save()
    client.force_login(max_)
    page = client.get(reverse("runs:run", args=["kitchen", ppo_run.pk])).content.decode()
    assert f"step {step}</option>" in page and "Evaluate along this training" in page
    client.post(reverse("policies:adopt", args=["kitchen", ppo_run.pk]), {"step": "20", "name": "early"})
    run = Run.objects.latest("pk")
    assert run.config["checkpoint_path"].endswith("step-000020.f1")
    assert (run.parameters["parent"], run.parameters["dataset"]) == (policy.pk, 7)


def test_other_runs_have_no_checkpoints_to_adopt(client, ppo_run, project, max_):
    Run.objects.filter(pk=ppo_run.pk).update(kind="rewardmodel.train")
    ppo_run.refresh_from_db()
    with pytest.raises(ActionError, match="trains no policy"):
        adopt_checkpoint(actor=max_, project=project, run=ppo_run, step=20, name="early")
    client.force_login(max_)
    assert client.post(reverse("policies:adopt", args=["kitchen", 999_999]), {}).status_code == 404


def test_a_critic_of_its_own_comes_along_where_its_start_is_still_there(
    model, ppo_run, policy, project, max_  # noqa: F811
):  # fmt: skip
    def critic_of(init_from, **parameters):
        ppo_run.config = {"critic": {"init_from": init_from}}
        ppo_run.parameters = {"parent": policy.pk, "reward_model": model.pk} | parameters
        ppo_run.save()
        run = adopt_checkpoint(actor=max_, project=project, run=ppo_run, step=20, name="early")
        return run.config["critic"] and run.config["critic"]["path"]

    assert critic_of("reward_model") == model.artifact.path
    Artifact.objects.filter(pk=model.artifact_id).update(path="gone")
    assert critic_of("reward_model") is None
    assert critic_of("policy") == critic_of("reference") == policy.artifact.path
    assert critic_of("reference", reference=policy.pk + 1000) is None
    assert critic_of("shared") is None
    # A critic that is there is kept; a policy without one is no failure.
    asked = ppo_run.path
    assert [output.kind for output, _ in ADOPT.outputs_in(asked)] == ["policy"]
    (asked / "critic").mkdir()
    assert [output.kind for output, _ in ADOPT.outputs_in(asked)] == ["policy", "critic"]


def test_a_start_that_is_no_policy_of_the_project_is_read_where_the_run_read_it(
    client, ppo_run, policy, project, max_
):
    """From scratch the tokenizer is the run's; it is beside the checkpoints, or in the policy that the run made."""
    ppo_run.kind, ppo_run.parameters = "policy.sft", {"name": "new", "parent": None}
    hub = {"path": None, "hub_id": "org/base", "revision": "main", "from_scratch": None}
    ppo_run.config = {"model": {"source": hub}}
    ppo_run.save()
    asked = {"actor": max_, "project": project, "run": ppo_run, "step": 20, "name": "early"}
    run = adopt_checkpoint(**asked)
    assert (run.config["policy"]["hub_id"], run.config["tokenizer_path"]) == ("org/base", "")
    assert run.parameters["parent"] is None
    ppo_run.config = {"model": {"source": options_to_dict(ModelSource(from_scratch=ModelArchitecture()))}}
    ppo_run.save()
    with pytest.raises(ActionError, match="let it end first"):
        adopt_checkpoint(**asked)
    Policy.objects.filter(pk=policy.pk).update(produced_by=ppo_run)
    assert adopt_checkpoint(**asked).config["tokenizer_path"] == str(policy.artifact.path)
    (ppo_run.path / "tokenizer").mkdir()
    run = adopt_checkpoint(**asked)
    assert run.config["tokenizer_path"] == f"runs/{ppo_run.directory}/tokenizer"
    client.force_login(max_)
    page = client.get(reverse("runs:run", args=["kitchen", ppo_run.pk])).content.decode()
    assert "Make it a policy" in page and "Evaluate along this training" not in page
    ppo_run.config = {}
    ppo_run.save()
    with pytest.raises(ActionError, match="does not say what it started from"):
        adopt_checkpoint(**asked)


def test_ends_of_epochs_stay_when_the_run_is_done(ppo_run):
    ppo_run.state = "done"
    folder = ppo_run.path / "checkpoints"
    (folder / "step-000020.f1" / "complete.json").write_text(json.dumps({"step": 20, "stays": True}))
    (folder / "step-000040.f1" / "complete.json").write_text("[]")  # damaged
    free_intermediates(ppo_run)
    assert [path.name for path in folder.iterdir()] == ["step-000020.f1"]


def test_the_page_says_how_large_the_models_of_the_run_are(client, ppo_run, max_):
    client.force_login(max_)
    address = reverse("runs:run", args=["kitchen", ppo_run.pk])
    assert "Models in memory" not in client.get(address).content.decode()
    policy = {"policy": torch.nn.Linear(1000, 4, bias=False)}
    sizes = role_sizes(
        {**policy, "critic": torch.nn.Linear(500, 4, bias=False)}, trained=("policy", "critic")
    )
    (ppo_run.path / "models.json").write_text(json.dumps({"models": sizes_as_rows(sizes)}))
    page = client.get(address).content.decode()
    # 4,000 and 2,000 numbers of 4 bytes, with a gradient and two moments each: 64,000 and 32,000 bytes.
    assert "Models in memory" in page and "<td>4,000</td>" in page and "<td>2,000</td>" in page
    assert page.count("62.5\xa0KB") == 1 and "93.8\xa0KB" in page
    assert "models.json" in page and "8 bit" not in page
    rows = sizes_as_rows(sizes)
    rows[0] |= {"int8_parameters": 3000, "weight_bytes": 7024}
    (ppo_run.path / "models.json").write_text(json.dumps({"models": rows}))
    page = client.get(address).content.decode()
    assert page.count("(base in 8 bit)") == 1 and "6.9\xa0KB" in page
    for row in rows:  # as a run of an earlier version has written it
        del row["int8_parameters"]
    (ppo_run.path / "models.json").write_text(json.dumps({"models": rows}))
    assert "Models in memory" in client.get(address).content.decode()
    (ppo_run.path / "models.json").write_text("{")  # being written, or damaged
    assert "Models in memory" not in client.get(address).content.decode()
