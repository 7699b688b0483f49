"""Trainings by reward models outside a round: page, command and API ask the same, and a policy comes out."""

import re

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.content.actions import (
    NewDemonstration,
    NewResponse,
    add_demonstrations,
    add_responses,
    get_or_create_source,
)
from annotation.models import PromptSet
from policy_training.models import Policy
from policy_training.run_kinds import BEST_OF_N, POLICY_GRADIENT
from policy_training.supervised.stored_answers import StoredAnswers, require_stored_answers
from policy_training.training.ppo.presets import PPO_PRESETS
from policy_training.training.reward_config import BUILT_IN_FUNCTIONS
from rewardmodel.models import ResponseScore
from runs.models import Artifact, Run
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.training.conftest import reward_model_path  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset, model  # noqa: F401
from workspace.actions import create_project
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]
CHAT = {"name": "toy", "model": "gpt-x", "protocol": "chat"}
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


def test_a_policy_gradient_mixes_in_what_page_command_and_api_ask_and_the_project_has(
    client,
    policy,
    model,  # noqa: F811
    prompt_set,
    project,
    max_,
):
    client.force_login(max_)
    page = reverse("policies:policy_gradient", args=["kitchen"])
    api = "/api/v1/projects/kitchen/policy-trainings/policy-gradient"
    ptx = {"algorithm.ptx_coefficient": 0.5, "algorithm.ptx_examples_per_response": 2.0}
    by_page = sent(client, page, policy, model, prompt_set, preset="rloo") | ptx
    command = ["train_policy_gradient", "kitchen", "better", *REWARDED, "--preset", "rloo", "--set"]
    command += [f"{path}={value}" for path, value in ptx.items()]
    body = {"name": "better", "preset": "rloo", "start": policy.pk, "reward_model": model.pk}
    body |= {"prompt_set": prompt_set.pk, "settings": ptx}
    lacking = "The project has no demonstrations to mix into the policy&#x27;s loss"
    assert lacking in client.post(page, by_page).content.decode()
    assert lacking.replace("&#x27;", "'") in refused(*command)
    answer = client.post(api, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "no_demonstrations")
    assert not Run.objects.filter(kind=POLICY_GRADIENT.name).exists()
    add_demonstrations(
        actor=max_,
        project=project,
        rows=[NewDemonstration(prompt=prompt_set.prompts.first(), text="Yes.")],
    )
    run = started(client.post(page, by_page))
    assert run.config["algorithm"]["ptx_coefficient"] == 0.5
    assert run.parameters["with_demonstrations"] and not run.parameters["with_texts"]
    call_command(*command, verbosity=0)
    assert same(run, Run.objects.latest("pk"))
    assert client.post(api, body, content_type="application/json").status_code == 201
    assert same(run, Run.objects.latest("pk"))
    assert set(POLICY_GRADIENT.build_inputs(run)) == {"prompts", "demonstrations"}


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
    assert "is empty" in client.get(address, values | {"part": "preview"}).content.decode()
    assert not Run.objects.filter(kind=POLICY_GRADIENT.name).exists()


@pytest.mark.parametrize("preset", ["tiny", "llama2"])
def test_best_of_n_by_the_page_is_the_commands(client, policy, model, prompt_set, max_, settings, preset):  # noqa: F811
    settings.MODEL_SERVERS = {"toy": "http://127.0.0.1:9/v1"}
    client.force_login(max_)
    address = reverse("policies:best_of_n", args=["kitchen"])
    values = sent(client, address, policy, model, prompt_set, preset=preset, samplers=[policy.pk])
    given = {"candidates.keep": "2", "candidates.ties": "all"}
    if preset == "tiny":  # a server's model answers, too
        given |= {"candidates.server_answers": "outside_and_policies"}
        given |= {f"sampling.server.{name}": value for name, value in CHAT.items()}
    run = started(client.post(address, values | given))
    call_command(
        "train_best_of_n", "kitchen", "better", *REWARDED, "--preset", preset, "--sampler", "tiny", "--set",
        *(f"{path}={value}" for path, value in given.items()), verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    assert run.config["samplers"] == [run.config["model"]["source"]]
    # Shown again, the policies that answered are chosen.
    assert client.get(address, {"run": run.pk}).context["form"]["samplers"].value() == [policy.pk]
    preview = client.get(address, values | given | {"part": "preview"}).content.decode()
    assert "New answers to each prompt" in preview
    if preset == "tiny":
        assert run.config["sampling"]["server"]["model"] == "gpt-x"
        assert "go to the server “toy”" in preview and ">16<" in preview  # eight of each
        unknown = client.post(address, values | given | {"sampling.server.name": "other"})
        assert unknown.status_code == 422 and "“other” is not one of this site" in unknown.content.decode()
    said = refused("train_best_of_n", "kitchen", "x", *REWARDED, "--set", "rewards.whiten=true")
    assert "rewards.whiten" in said


@pytest.fixture
def answers(project, policy, model, prompt_set, max_):  # noqa: F811
    """Of the policy two, the first scored, the second cut; of a person one; a demonstration; one with a tool call."""
    prompts = list(prompt_set.prompts.order_by("pk"))
    person = get_or_create_source(actor=max_, project=project, kind="person", name="ada")
    call = [{"role": "assistant", "content": "", "tool_calls": [{"id": "1", "name": "f", "arguments": "{}"}]}]
    rows = [
        NewResponse(
            prompt=prompts[0],
            source=policy.source,
            text="A cat.",
            response_id="r1",
            sampling={"temperature": 0.5},
        ),
        NewResponse(prompt=prompts[0], source=policy.source, text="A dog and", response_id="r2", ended=False),
        NewResponse(prompt=prompts[1], source=person, text="A cow.", response_id="r3"),
        NewResponse(prompt=prompts[1], source=policy.source, text="", turns=call, response_id="r4"),
    ]
    first, *_ = add_responses(actor=max_, project=project, rows=rows)
    ResponseScore.objects.create(reward_model=model, response=first, reward=2.5)
    add_demonstrations(
        actor=max_,
        project=project,
        rows=[NewDemonstration(prompt=prompts[2], text="A hen.", demonstration_id="d1")],
    )


def test_answers_that_are_there_go_into_best_of_n_with_the_rewards_they_have(
    client, policy, model, prompt_set, max_, answers  # noqa: F811
):  # fmt: skip
    client.force_login(max_)
    address = reverse("policies:best_of_n", args=["kitchen"])
    assert "Answers that are there already, of" in client.get(address).content.decode()
    values = sent(client, address, policy, model, prompt_set, stored_policies=[policy.pk], stored_others="on")
    run = started(client.post(address, values | {"candidates.samples_per_prompt": "0"}))
    call_command(
        "train_best_of_n", "kitchen", "better", *REWARDED, "--stored-policy", "tiny", "--stored-others", "--set",
        "candidates.samples_per_prompt=0", verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    assert run.config["stored"]["use"] and run.config["sampler_names"] == ["tiny"]
    again = client.get(address, {"run": run.pk}).context["form"]
    assert (again["stored_policies"].value(), again["stored_others"].value()) == ([policy.pk], True)
    rows, _ = BEST_OF_N.build_inputs(run)["candidates"]
    found = {row["response_id"]: row for row in rows}
    assert {name: row["reward"] for name, row in found.items()} == {
        "r1": 2.5, "r2": None, "r3": None, "demonstration d1": None,
    }  # fmt: skip
    assert (found["r1"]["policy"], found["r1"]["temperature"]) == ("tiny", 0.5)
    assert found["r2"]["ended"] is False and found["demonstration d1"]["source"] == "person"
    # Where the reward is more than the model's score, what it said before is not the reward.
    run.config["rewards"]["functions"] = [{"function": BUILT_IN_FUNCTIONS[0], "weight": 1.0}]
    rows, _ = BEST_OF_N.build_inputs(run)["candidates"]
    assert {row["reward"] for row in rows} == {None}
    preview = client.get(address, values | {"part": "preview"}).content.decode()
    assert "Answers that are there already</dt><dd>4<" in preview
    assert "Scored by the reward model before</dt><dd>1<" in preview


def test_answers_that_nobody_gave_and_prompts_kept_for_measuring_are_refused(
    policy, model, prompt_set, max_, answers  # noqa: F811
):  # fmt: skip
    prompt_set.prompts.set(prompt_set.prompts.order_by("pk")[5:])
    said = refused("train_best_of_n", "kitchen", "x", *REWARDED, "--stored-policy", "tiny", "--stored-others")
    assert "Nobody of those has answered a prompt of “asked”" in said
    said = refused("train_best_of_n", "kitchen", "x", *REWARDED, "--set", "candidates.samples_per_prompt=0")
    assert "without samples, take answers that are there already" in said
    other = create_project(actor=max_, name="Garden")
    with pytest.raises(ActionError, match="Name policies of this project"):
        require_stored_answers(other, prompt_set, StoredAnswers(policies=(policy.pk,)))
    PromptSet.objects.filter(pk=prompt_set.pk).update(purpose="evaluation")
    # What it is measured on is learned from by no recipe.
    for command in ("train_best_of_n", "train_ppo", "train_policy_gradient"):
        assert "is kept for evaluation" in refused(command, "kitchen", "x", *REWARDED)
    assert not StoredAnswers() and StoredAnswers(others=True)


def test_the_policys_page_says_where_its_answers_came_from(client, policy, max_):
    origin = {"is_stored": False, "source": "policy", "policy": "tiny", "round": None, "temperature": 1.0}
    theirs = {"is_stored": True, "source": "person", "policy": None, "round": None, "temperature": None}
    policy.report = {
        "origins": [
            {**origin, "candidates": 30, "candidate_score": 0.25, "kept": 3, "kept_score": 1.5},
            {**theirs, "candidates": 4, "candidate_score": 0.5, "kept": 1, "kept_score": 2.0},
        ],
        "gain_over_mean": {"value": 1.2, "low": 1.0, "high": 1.4, "prompts": 4},
    }
    policy.save()
    client.force_login(max_)
    page = client.get(reverse("policies:policy", args=["kitchen", policy.pk])).content.decode()
    assert "1.20 above the mean of a prompt&#x27;s candidates (1.00 to 1.40)" in page
    table = page.partition("Where its answers came from</h2>")[2].partition("</table>")[0]
    assert re.findall(r"<bdi>(.*?)</bdi>", table) == ["tiny", "Person"]
    assert re.findall(r"<td>(\d+ %)</td>", table) == ["75 %", "25 %"]
