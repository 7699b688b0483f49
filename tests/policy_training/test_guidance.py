"""A policy led by a critic is evaluated and compared: page, command and API ask for the same, and say who leads."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from policy_training.comparing.actions import comparison_config, evaluate_along_run
from policy_training.comparing.kind import COMPARE
from policy_training.models import PolicyComparison, PolicyEvaluation
from policy_training.run_kinds import EVALUATE
from policy_training.selecting.measurements import comparison_measurements, evaluation_measurement, said
from runs.models import Artifact, Run
from tests.policy_training.comparing.test_comparing import counts, prompt_set  # noqa: F401
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.training.conftest import reward_model_path  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset, model  # noqa: F401
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db, pytest.mark.sqlite_only]
LED = "led by the critic of “tiny” (coefficient 2, 10 candidates)"


@pytest.fixture
def critic(project, policy, max_, tmp_path):
    """The policy as PPO has made it, with its critic."""
    ppo = Run.objects.create(
        project=project,
        kind="policy.ppo",
        title="PPO",
        config={},
        requested_by=max_,
        parameters={"parent": policy.pk},
    )
    folder = tmp_path / "critic"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    Artifact.objects.create(
        project=project, kind="critic", path=str(folder), sha256="0" * 64, size_bytes=1, produced_by=ppo
    )
    Artifact.objects.filter(pk=policy.artifact_id).update(produced_by=ppo)
    return ppo


def test_an_evaluation_is_led_by_page_command_and_api(
    client, policy, model, prompt_set, project, max_, ruth, critic  # noqa: F811
):  # fmt: skip
    arguments = [
        "evaluate_policy",
        "kitchen",
        "tiny",
        "--reward-model",
        model.name,
        "--prompt-set",
        "asked",
        "--set",
    ]
    assert "no policy “other”" in refused(*arguments, "guidance.policy=other")
    assert "no critic leads" in refused(*arguments, "guidance.coefficient=2")
    call_command(
        *arguments, "guidance.policy=tiny", "guidance.coefficient=2", "guidance.path=/etc", stdout=StringIO()
    )
    run = Run.objects.latest("pk")
    assert run.config["guidance"]["path"] == "critic"  # below the data folder, and not what was asked for
    client.force_login(max_)
    address = reverse("policies:evaluate", args=["kitchen"])
    asked = shown(client, address, policy=policy.pk, reward_model=model.pk, prompt_set=prompt_set.pk)
    led = {"guidance.policy": "tiny", "guidance.coefficient": "2"}
    assert same(run, started(client.post(address, asked | led)))
    page = client.post(address, asked | {"guidance.policy": "other"})
    assert page.status_code == 422 and "no policy “other”" in page.content.decode()
    answer = client.post(
        f"/api/v1/projects/kitchen/policies/{policy.pk}/evaluations",
        {"reward_model": model.pk, "prompt_set": prompt_set.pk, "settings": led},
        content_type="application/json",
    )
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))
    EVALUATE.save_result(run, {"score": 1.0, "kl": 2.0})
    client.force_login(ruth)
    assert LED in client.get(reverse("policies:policy", args=["kitchen", policy.pk])).content.decode()
    # A rule that chooses between policies sees that one is led.
    assert said(evaluation_measurement(PolicyEvaluation.objects.get()), "sampling") == f"temperature 1, {LED}"


def test_a_policy_that_is_led_is_compared_with_itself(
    client, policy, model, prompt_set, project, max_, ruth, criterion, critic  # noqa: F811
):  # fmt: skip
    arguments = [
        "compare_policies", "kitchen", "tiny", "--with", "tiny", "--reward-model", model.name, "--prompt-set", "asked",
    ]  # fmt: skip
    assert "unless a critic leads" in refused(*arguments)
    led = ["--set", "guidance.policy=tiny", "guidance.coefficient=2"]
    assert "told apart by who answered" in refused(*arguments, "--criteria", criterion.name, *led)
    call_command(*arguments, *led, stdout=StringIO())
    run = Run.objects.latest("pk")
    assert run.config["guidance"]["path"] == "critic" and run.config["others"][0]["name"] == "tiny"
    client.force_login(max_)
    address = reverse("policies:compare", args=["kitchen"])
    asked = shown(client, address, policy=policy.pk, reward_model=model.pk, prompt_set=prompt_set.pk)
    asked |= {"others": [policy.pk], "guidance.policy": "tiny", "guidance.coefficient": "2"}
    assert same(run, started(client.post(address, asked)))
    body = {
        "policy": policy.pk, "others": [policy.pk], "reward_model": model.pk, "prompt_set": prompt_set.pk,
        "settings": {"guidance.policy": "tiny", "guidance.coefficient": 2},
    }  # fmt: skip
    answer = client.post("/api/v1/projects/kitchen/policy-comparisons", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))
    other = {"name": "tiny", "step": None, "score": 1.0, "kl": 0.0, "prompts": 3, "by_judge": None}
    report = {"policy": {"score": 1.5, "kl": 2.25}, "others": [other | {"by_reward": counts(2, 0, 1)}]}
    COMPARE.save_result(run, report)
    comparison = PolicyComparison.objects.get()
    client.force_login(ruth)
    page = client.get(reverse("policies:comparison", args=["kitchen", comparison.pk])).content.decode()
    assert f"<bdi>tiny</bdi> are {LED}, 2.25 nats an answer" in page
    assert comparison_measurements(comparison) == []  # no figures of the policy alone


def test_no_critic_leads_checkpoints(client, policy, model, prompt_set, project, max_, critic):  # noqa: F811
    client.force_login(max_)
    page = client.get(reverse("policies:along", args=["kitchen", critic.pk])).content.decode()
    assert "guidance.policy" not in page and "sampling.top_p" in page
    with pytest.raises(ActionError, match="leave guidance out"):
        evaluate_along_run(
            actor=max_, project=project, run=critic, reward_model=model, prompt_set=prompt_set,
            config=comparison_config(assignments=["guidance.policy=tiny"]),
        )  # fmt: skip
