"""A round whose PPO takes rewards from several models and functions: form, command and API ask for the same."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.models import PreferenceDataset
from policy_training.rewarded.actions import train_ppo
from policy_training.training.reward_config import LENGTH_PENALTY
from rewardmodel.models import RewardModel
from rounds.errors import RoundRefused
from rounds.forms import StartRoundForm
from rounds.models import Round
from rounds.plan_changes import override_plan, with_ppo_preset
from rounds.plans import load_plan, preset_plan
from rounds.steps import step_from_words
from runs.models import Artifact, Run
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def make_reward_model(project, criterion, max_):
    def make(name: str) -> RewardModel:
        path = f"models/{name}"
        artifact = Artifact.objects.create(
            project=project, kind="reward_model", path=path, sha256="0" * 64, size_bytes=1
        )
        dataset = PreferenceDataset.objects.create(
            project=project, name=name, criterion=criterion, directory=name, created_by=max_
        )
        run = Run.objects.create(
            project=project, kind="rewardmodel.train", title=name, config={}, requested_by=max_
        )
        return RewardModel.objects.create(
            project=project, name=name, artifact=artifact, dataset=dataset, produced_by=run
        )

    return make


@pytest.fixture
def safety(make_reward_model):
    return make_reward_model("Safety, round 1")


@pytest.fixture
def asked(criterion, policy, prompt_set):
    return {
        "preset": "tiny",
        "criterion": criterion.pk,
        "start_policy": policy.pk,
        "prompt_set": prompt_set.pk,
    }


def test_form_command_and_api_ask_for_the_same_rewards(
    client, project, criterion, policy, prompt_set, safety, make_reward_model, asked, max_
):
    other = make_reward_model("other")
    client.force_login(max_)
    sent = asked | {
        "further_reward_models": [safety.pk, other.pk],
        "further_weights": "2, -0.5",  # newest first, as the list is
        "further_batches": "; layout=padded",
        "policy.reward_model_batch.max_prompt_tokens": "2048",
        "reward_functions": [LENGTH_PENALTY],
        "function_weights": "0.25",
        "function_time_limits": "7.5",
        "reward_weight": "1.5",
        "normalize_models": "on",
        "whiten_rewards": "true",
    }
    answer = client.post(reverse("rounds:start", args=["kitchen"]), sent)
    assert answer.status_code == 302, answer.context["form"].errors
    by_form = Round.objects.latest("pk")
    rewards = by_form.plan["policy"]["rewards"]
    assert rewards["weight"] == 1.5 and rewards["normalize_models"] and rewards["whiten"]
    assert [(part["name"], part["weight"]) for part in rewards["models"]] == [
        ("other", 2.0),
        ("Safety, round 1", -0.5),
    ]
    first, last = rewards["models"]
    # Of what is not named, the round's own reward model's.
    own = by_form.plan["policy"]["reward_model_batch"]
    assert own["max_prompt_tokens"] == 2048 and own["layout"] == "auto"
    assert first["batch"] is None and last["batch"] == own | {"layout": "padded"}
    assert rewards["functions"] == [{"function": LENGTH_PENALTY, "weight": 0.25, "time_limit_seconds": 7.5}]
    # Whitening a step takes the place of the running moments.
    assert by_form.plan["policy"]["reward"]["normalize"] is False

    page = client.get(reverse("rounds:round", args=["kitchen", by_form.number])).content.decode()
    assert "2 × “other” + -0.5 × “Safety, round 1” + 0.25 × length_penalty" in page

    by_form.delete()
    call_command(
        "start_round", "kitchen", "--further-reward-model", "other=2", "--further-reward-model", "Safety, round 1=-0.5",
        "--further-reward-model-batch", "Safety, round 1", "layout=padded",
        "--reward-function", "length_penalty=0.25:7.5", "--set", "policy.rewards.weight=1.5",
        "policy.rewards.normalize_models=true", "policy.rewards.whiten=true", "policy.reward.normalize=false",
        "policy.reward_model_batch.max_prompt_tokens=2048",
        stdout=StringIO(),
    )  # fmt: skip
    by_command = Round.objects.latest("pk")
    assert by_command.plan["policy"] == by_form.plan["policy"]

    by_command.delete()
    answer = client.post(
        "/api/v1/projects/kitchen/rounds",
        {
            "preset": "tiny",
            "criterion": criterion.name,
            "start_policy": policy.pk,
            "prompt_set": prompt_set.pk,
            "further_reward_models": [safety.pk, other.pk],
            "further_weights": [-0.5, 2],  # in the order given
            "further_batches": [{"layout": "padded"}, None],
            "policy_options": {"reward_model_batch.max_prompt_tokens": 2048},
            "reward_functions": [LENGTH_PENALTY],
            "function_weights": [0.25],
            "function_time_limits": [7.5],
            "reward_weight": 1.5,
            "normalize_models": True,
            "whiten_rewards": True,
        },
        content_type="application/json",
    )
    assert answer.status_code == 201, answer.content
    assert Round.objects.latest("pk").plan["policy"] == by_form.plan["policy"]


@pytest.mark.sqlite_only
def test_a_step_with_lengths_of_its_own_for_the_first_reward_model_has_them_for_the_further_ones_too(
    client, policy, prompt_set, criterion, safety, max_
):
    """But for what was named: it stays, be it what the plan's first reward model has too."""
    usual = preset_plan("tiny").policy.batch
    named = {"layout": "padded", "max_response_tokens": usual.max_response_tokens}
    of_step = {"reward_model_batch.max_prompt_tokens": 2048, "reward_model_batch.max_response_tokens": 999}
    call_command(
        "start_round", "kitchen", "--further-reward-model", "Safety, round 1=1",
        "--further-reward-model-batch", "Safety, round 1", *(f"{name}={value}" for name, value in named.items()),
        "--step", "best_of_n", *(f"{name}={value}" for name, value in of_step.items()),
        "--step", "ppo", *(f"{name}={value}" for name, value in of_step.items()),
        "--step", "policy_gradient",
        stdout=StringIO(),
    )  # fmt: skip
    round_ = Round.objects.latest("pk")

    def batches(plan):
        configs = [step.config for step in load_plan(plan).steps]
        parts = [config.rewards.models[0].batch for config in (load_plan(plan).policy, *configs)]
        return [(batch.max_prompt_tokens, batch.max_response_tokens, batch.layout) for batch in parts]

    own = (usual.max_prompt_tokens, usual.max_response_tokens, "padded")
    longer = (2048, usual.max_response_tokens, "padded")
    assert batches(round_.plan) == [own, longer, longer, own]
    round_.delete()
    body = {
        "preset": "tiny", "criterion": criterion.name, "start_policy": policy.pk, "prompt_set": prompt_set.pk,
        "further_reward_models": [safety.pk], "further_batches": [named],
        "steps": [*({"recipe": recipe, "options": of_step} for recipe in ("best_of_n", "ppo")),
                  {"recipe": "policy_gradient"}],
    }  # fmt: skip
    client.force_login(max_)
    answer = client.post("/api/v1/projects/kitchen/rounds", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert batches(Round.objects.latest("pk").plan) == [own, longer, longer, own]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"further_weights": "much"}, "Write numbers with spaces between them"),
        ({"further_weights": "1 2"}, "There are 1 further reward models and 2 weights"),
        ({"further_batches": "; layout=padded"}, "There are 1 further reward models and lengths for 2"),
        ({"further_batches": "max_prompt_tokens=many"}, "expected a whole number, found &#x27;many&#x27;"),
        ({"reward_combination": "safety_gate", "further_reward_models": []}, "takes one further model"),
        ({"reward_functions": ["os.system"]}, "Select a valid choice"),
        ({"function_time_limits": "soon"}, "Write numbers with spaces between them"),
        (
            {"reward_functions": [LENGTH_PENALTY], "function_time_limits": "5 6"},
            "There are 1 reward functions and 2 time limits: give one each, or none.",
        ),
        (
            {"reward_functions": [LENGTH_PENALTY], "function_time_limits": "0"},
            "time_limit_seconds must be above 0 and at most 86400, found 0.0",
        ),
        ({"safety_threshold": "1"}, "safety_threshold is a probability below 1"),
    ],
)
def test_what_does_not_fit_is_said_on_the_form(client, asked, safety, max_, values, sentence):
    client.force_login(max_)
    sent = asked | {"further_reward_models": [safety.pk]} | values
    answer = client.post(reverse("rounds:start", args=["kitchen"]), sent)
    assert answer.status_code == 422 and sentence in answer.content.decode()
    assert not Round.objects.exists()


def test_a_round_that_names_what_is_not_there_is_refused_before_anybody_annotates(begin, safety):
    plan = override_plan(preset_plan("tiny"), rewards={"models": [{"name": "elsewhere"}]})
    with pytest.raises(RoundRefused, match="no reward model “elsewhere” to take rewards from"):
        begin(plan=plan)
    plan = override_plan(preset_plan("tiny"), rewards={"functions": [{"function": "os.system"}]})
    with pytest.raises(RoundRefused, match="“os.system” is not one of this site's"):
        begin(plan=plan)


def test_ppo_gets_the_folders_of_the_models_it_names_and_remembers_them(
    settings, begin, project, policy, prompt_set, safety, make_reward_model, max_
):
    settings.REWARD_FUNCTIONS = ["our_rewards.arithmetic"]
    plan = override_plan(
        preset_plan("tiny"),
        rewards={
            "combination": "safety_gate",
            "models": [{"name": safety.name}],
            "risky_tag": "risky",
            "functions": [{"function": "our_rewards.arithmetic"}],
        },
    )
    round_ = begin(plan=plan)
    first = make_reward_model("helpful")

    def ask(config):
        return train_ppo(
            actor=max_,
            project=project,
            name="new",
            start=policy,
            reward_model=first,
            prompt_set=prompt_set,
            config=config,
        )

    run = ask(load_plan_policy(round_))
    assert run.config["rewards"]["models"][0]["path"] == safety.artifact.path
    assert run.config["reward_model_path"] == first.artifact.path
    assert run.parameters["further_reward_models"] == [safety.pk]
    settings.REWARD_FUNCTIONS = []
    with pytest.raises(
        ActionError, match="an operator names those that may run in ROUNDTABLE_REWARD_FUNCTIONS"
    ):
        ask(load_plan_policy(round_))


def load_plan_policy(round_: Round) -> dict:
    assert load_plan(round_.plan)
    return round_.plan["policy"]


def test_the_whitening_of_a_preset_goes_with_it_and_one_that_was_asked_for_stays():
    """Llama 2 (3.2.3) whitens each step's scores; ppo_max has running moments, vanilla neither."""

    def made(plan):
        return plan.policy.rewards.whiten, plan.policy.reward.normalize

    llama2, tiny = preset_plan("llama2"), preset_plan("tiny")
    assert made(llama2) == (True, False) and made(tiny) == (False, True)
    assert made(with_ppo_preset(tiny, "llama2")) == (True, False)
    assert made(with_ppo_preset(llama2, "ppo_max")) == (False, True)
    assert made(with_ppo_preset(llama2, "ppo_vanilla")) == (False, False)
    # What somebody asked for, and the sources of the rewards, stay.
    asked = override_plan(tiny, rewards={"whiten": True, "functions": [{"function": LENGTH_PENALTY}]})
    assert made(with_ppo_preset(asked, "ppo_max")) == (True, False)
    assert with_ppo_preset(asked, "ppo_max").policy.rewards == asked.policy.rewards
    without = override_plan(llama2, rewards={"whiten": False})
    assert made(without) == (False, False)
    gated = override_plan(tiny, rewards={"combination": "safety_gate", "models": [{"name": "safe"}]})
    assert made(with_ppo_preset(gated, "llama2")) == (True, False)
    assert with_ppo_preset(gated, "llama2").policy.rewards.combination == "safety_gate"
    # So with a step that has a preset of its own.
    step = step_from_words(["ppo:llama2"], policy=gated.policy).ppo
    assert (step.rewards.whiten, step.reward.normalize, step.rewards.combination) == (
        True,
        False,
        "safety_gate",
    )
    step = step_from_words(["ppo:tiny"], policy=llama2.policy).ppo
    assert (step.rewards.whiten, step.reward.normalize) == (False, True)
    assert not step_from_words(["best_of_n"], policy=llama2.policy).best_of_n.rewards.whiten


@pytest.mark.sqlite_only
def test_the_form_and_the_api_turn_the_whitening_of_a_preset_off(client, asked, criterion, safety, max_):
    client.force_login(max_)
    for preset, shown in (("tiny", "no (preset)"), ("llama2", "yes (preset)")):
        form = StartRoundForm(project=criterion.project, initial={"preset": preset})
        assert f'<option value="" selected>{shown}</option>' in str(form["whiten_rewards"])
    long = {"preset": "tiny", "ppo_preset": "llama2"}
    for given, whitens in (({}, True), ({"whiten_rewards": "false"}, False)):
        form = StartRoundForm(asked | long | given, project=criterion.project)
        assert form.is_valid() and form.plan().policy.rewards.whiten is whitens, form.errors
    body = asked | long | {"criterion": criterion.name, "whiten_rewards": False}
    answer = client.post("/api/v1/projects/kitchen/rounds", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert Round.objects.latest("pk").plan["policy"]["rewards"]["whiten"] is False


@pytest.mark.sqlite_only
def test_a_chosen_whitening_that_no_step_reads_is_refused(client, asked, max_):
    client.force_login(max_)
    step = {"steps": "1", "step_1.recipe": "dpo", "step_1.preset": "tiny"}
    answer = client.post(
        reverse("rounds:start", args=["kitchen"]), asked | step | {"whiten_rewards": "false"}
    )
    assert answer.status_code == 422 and "None of the steps learns from rewards" in answer.content.decode()
    assert client.post(reverse("rounds:start", args=["kitchen"]), asked | step).status_code == 302


@pytest.mark.sqlite_only
@pytest.mark.parametrize(("preset", "step_preset"), [("tiny", "llama2"), ("llama2", "tiny")])
@pytest.mark.parametrize("chosen", [None, True, False])
def test_a_step_by_another_preset_whitens_as_was_chosen_for_the_round(
    client, asked, criterion, max_, preset, step_preset, chosen
):
    """Llama 2's preset whitens, tiny does not: unless somebody says so of the round, a step does as its own has it."""
    whitens = (step_preset == "llama2") if chosen is None else chosen
    normalizes = step_preset == "tiny" and not whitens  # whitening takes the place of the moments
    client.force_login(max_)
    presets = {"preset": "tiny", "ppo_preset": preset}
    first, last = {"recipe": "ppo", "preset": step_preset}, {"recipe": "ppo"}

    def of_first_step() -> tuple[bool, bool]:
        round_ = Round.objects.latest("pk")
        config = load_plan(round_.plan).steps[0].ppo
        round_.delete()
        return config.rewards.whiten, config.reward.normalize

    said = {} if chosen is None else {"whiten_rewards": str(chosen).lower()}
    steps = {
        f"step_{n}.{name}": value for n, step in enumerate((first, last), 1) for name, value in step.items()
    }
    answer = client.post(
        reverse("rounds:start", args=["kitchen"]), asked | presets | said | steps | {"steps": "2"}
    )
    assert answer.status_code == 302, answer.context["form"].errors
    assert of_first_step() == (whitens, normalizes)

    command = [
        "start_round",
        "kitchen",
        "--ppo-preset",
        preset,
        "--step",
        f"ppo:{step_preset}",
        "--step",
        "ppo",
    ]
    if chosen is not None:
        command += ["--set", f"policy.rewards.whiten={str(chosen).lower()}"]
        command += ["policy.reward.normalize=false"] if chosen and preset == "tiny" else []
    call_command(*command, stdout=StringIO())
    assert of_first_step() == (whitens, normalizes)

    body = asked | presets | {"criterion": criterion.name, "steps": [first, last]}
    body |= {} if chosen is None else {"whiten_rewards": chosen}
    answer = client.post("/api/v1/projects/kitchen/rounds", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert of_first_step() == (whitens, normalizes)
