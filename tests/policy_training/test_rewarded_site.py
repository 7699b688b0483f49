"""Trainings by reward models outside a round: page, command and API ask the same, and a policy comes out."""

import re

import pytest
from django.core.management import call_command
from django.urls import reverse

from policy_training.models import Policy
from policy_training.run_kinds import POLICY_GRADIENT
from policy_training.training.ppo.presets import PPO_PRESETS
from runs.models import Artifact, Run
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.training.conftest import reward_model_path  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset, model  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]
REWARDED = ("--start", "tiny", "--reward-model", "taste", "--prompt-set", "asked")


@pytest.fixture
def prompt_set(project, write_rows):
    rows = [{"prompt": f"Which animal is {n}?", "split": "train"} for n in range(9)]
    path = write_rows(rows, "asked.jsonl")
    call_command("import_prompts", "kitchen", path, "--prompt-set", "asked", verbosity=0)
    return project.prompt_sets.get(name="asked")


def sent(client, address, policy, model, prompt_set, **changed):  # noqa: F811
    asked = shown(client, address, **({"preset": changed.pop("preset")} if "preset" in changed else {}))
    return asked | {
        "name": "better",
        "start": policy.pk,
        "reward_model": model.pk,
        "prompt_set": prompt_set.pk,
        **changed,
    }


@pytest.mark.parametrize("preset", ["tiny", "reinforce", "rloo", "grpo"])
def test_a_policy_gradient_by_the_page_is_the_commands(client, policy, model, prompt_set, max_, preset):  # noqa: F811
    client.force_login(max_)
    address = reverse("policies:policy_gradient", args=["kitchen"])
    values = sent(client, address, policy, model, prompt_set, preset=preset)
    run = started(client.post(address, values | {"rollout.steps": "7"}))
    call_command(
        "train_policy_gradient", "kitchen", "better", *REWARDED, "--preset", preset, "--set", "rollout.steps=7",
        verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    assert run.config["reward_model_path"] == str(model.artifact.absolute_path)
    assert run.config["reference"] == run.config["policy"]["source"]
    assert run.title == f"{'Policy gradient' if preset == 'tiny' else preset.upper()}: tiny to better"


def test_ppo_outside_a_round_by_the_page_is_the_commands(client, policy, model, prompt_set, max_):  # noqa: F811
    client.force_login(max_)
    address = reverse("policies:ppo", args=["kitchen"])
    for preset in PPO_PRESETS.values():
        if preset.algorithm.ptx_coefficient:  # it mixes in what the project has not
            said = refused("train_ppo", "kitchen", "better", *REWARDED, "--preset", preset.name)
            assert "ptx" in said and "import_" in said, said
            continue
        values = sent(client, address, policy, model, prompt_set, preset=preset.name)
        run = started(
            client.post(address, values | {"rollout.steps": "7", "reward_model_batch.layout": "padded"})
        )
        call_command(
            "train_ppo", "kitchen", "better", *REWARDED, "--preset", preset.name, "--set", "rollout.steps=7",
            "reward_model_batch.layout=padded", verbosity=0,
        )  # fmt: skip
        assert same(run, Run.objects.latest("pk"))
        assert run.title == "PPO: tiny to better" and run.config["reward_model_batch"] == {"layout": "padded"}
    assert (
        client.get(address, {"run": run.pk}).context["form"]["reward_model_batch.layout"].value() == "padded"
    )


@pytest.mark.parametrize("name", ["policy_gradient", "best_of_n", "ppo"])
def test_check_boxes_stand_in_a_group_with_its_legend(client, policy, model, prompt_set, max_, name):  # noqa: F811
    client.force_login(max_)
    page = client.get(reverse(f"policies:{name}", args=["kitchen"])).content.decode()
    group = page.partition("<legend>Reward functions</legend>")[2].partition("</fieldset>")[0]
    boxes = re.findall(r'<input type="checkbox"[^>]* id="([^"]+)"', group)
    assert boxes and boxes == re.findall(r'<label class="form-check-label" for="([^"]+)"', group)


def test_its_result_is_a_policy_with_its_parents(client, policy, model, prompt_set, project, max_):  # noqa: F811
    call_command("train_policy_gradient", "kitchen", "better", *REWARDED, verbosity=0)
    run = Run.objects.get(kind=POLICY_GRADIENT.name)
    assert len(list(POLICY_GRADIENT.build_inputs(run)["prompts"][0])) == 9
    Artifact.objects.create(
        project=project, kind="policy", path="runs/1/model", sha256="2" * 64, size_bytes=1, produced_by=run
    )
    for _ in range(2):  # a result may be saved again after a crash
        POLICY_GRADIENT.save_result(run, {"score_before": 0.5, "score_after": 1.5, "kl": 2.0})
    made = Policy.objects.get(name="better")
    assert (made.parent, made.reward_model, made.dataset) == (policy, model, None)
    client.force_login(max_)
    page = client.get(reverse("policies:policy", args=["kitchen", made.pk])).content.decode()
    assert "0.50 → 1.50" in page


def test_what_does_not_fit_is_refused(client, policy, model, prompt_set, max_):  # noqa: F811
    client.force_login(max_)
    address = reverse("policies:policy_gradient", args=["kitchen"])
    values = sent(client, address, policy, model, prompt_set)
    answer = client.post(address, values | {"rollout.samples_per_prompt": "1"})
    assert answer.status_code == 422 and "sample at least 2" in str(answer.context["form"].errors)
    said = refused(
        "train_policy_gradient", "kitchen", "x", *REWARDED, "--set", "rollout.samples_per_prompt=1"
    )
    assert "sample at least 2" in said
    prompt_set.prompts.clear()
    assert "is empty" in refused("train_policy_gradient", "kitchen", "x", *REWARDED)
    preview = client.get(address, values | {"part": "preview"}).content.decode()
    assert "no prompt of the split train" in preview
    assert not Run.objects.filter(kind=POLICY_GRADIENT.name).exists()


@pytest.mark.parametrize("preset", ["tiny", "llama2"])
def test_best_of_n_by_the_page_is_the_commands(client, policy, model, prompt_set, max_, preset):  # noqa: F811
    client.force_login(max_)
    address = reverse("policies:best_of_n", args=["kitchen"])
    values = sent(client, address, policy, model, prompt_set, preset=preset, samplers=[policy.pk])
    run = started(client.post(address, values | {"candidates.keep": "2", "candidates.ties": "all"}))
    call_command(
        "train_best_of_n", "kitchen", "better", *REWARDED, "--preset", preset, "--sampler", "tiny", "--set",
        "candidates.keep=2", "candidates.ties=all", verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    assert run.config["samplers"] == [run.config["model"]["source"]]
    # Shown again, the policies that answered are chosen.
    assert client.get(address, {"run": run.pk}).context["form"]["samplers"].value() == [policy.pk]
    preview = client.get(address, values | {"part": "preview"}).content.decode()
    assert "Answers to each prompt" in preview
    said = refused("train_best_of_n", "kitchen", "x", *REWARDED, "--set", "rewards.whiten=true")
    assert "rewards.whiten" in said
