"""An evaluation by several reward models and functions: form, command and API ask for the same; what was found is on
the policy's page.
"""

import re
from argparse import ArgumentParser

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.urls import reverse
from rest_framework.exceptions import ValidationError as ApiValidationError

from policy_training.api.reward_fields import form_rewards
from policy_training.figures import policy_figures
from policy_training.models import Policy
from policy_training.reward_batches import (
    batches_as_text,
    batches_for,
    batches_in,
    own_values,
    with_whole_batches,
)
from policy_training.reward_fields import RewardPartsFields
from policy_training.rewarded.arguments import (
    add_reward_arguments,
    rewards_from_options,
    weighted_and_limited,
)
from policy_training.rewards import describe_rewards
from policy_training.training.reward_config import (
    EXACT_ANSWER,
    LENGTH_PENALTY,
    RewardModelPart,
    RewardSourcesOptions,
)
from rewardmodel.models import RewardModel
from rounds.stages.policy import what_it_learned
from rounds.step_reports import outcome
from runs.models import Artifact, Run
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.training.conftest import reward_model_path  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset, model  # noqa: F401
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def other(model, project, max_):  # noqa: F811
    run = Run.objects.create(
        project=project, kind="rewardmodel.train", title="Train other", requested_by=max_, config={}
    )
    artifact = Artifact.objects.create(
        project=project, kind="reward_model", path="models/other", sha256="1" * 64, size_bytes=1
    )
    return RewardModel.objects.create(
        project=project, name="other = b", artifact=artifact, dataset=model.dataset, produced_by=run
    )


def test_form_command_and_api_ask_the_same(client, policy, model, other, project, max_, write_rows):  # noqa: F811
    path = write_rows([{"prompt": f"Which animal is {n}?"} for n in range(3)], "asked.jsonl")
    call_command("import_prompts", "kitchen", path, "--prompt-set", "asked", verbosity=0)
    prompt_set = project.prompt_sets.get(name="asked")
    client.force_login(max_)
    address = reverse("policies:evaluate", args=["kitchen"])
    sent = shown(client, address, policy=policy.pk, reward_model=model.pk) | {"prompt_set": prompt_set.pk}
    sent |= {
        "further_reward_models": [other.pk],
        "further_weights": "0.5",
        "further_batches": "layout=padded",
        "batch.max_prompt_tokens": "2048",
        "reward_functions": [EXACT_ANSWER, LENGTH_PENALTY],
        "function_weights": "0.123456789 1",  # in the order of the list
        "function_time_limits": "5 600",
        "rewards.weight": "2.0",
    }
    run = started(client.post(address, sent))
    # What is not named is as of the run's own reward model, not 512 and 256.
    own = run.config["reward_model_batch"] or run.config["batch"]
    assert own["max_prompt_tokens"] == 2048 and own["layout"] != "padded"
    batch = own | {"layout": "padded"}
    assert run.config["rewards"]["models"] == [
        {"name": "other = b", "path": "models/other", "weight": 0.5, "batch": batch}
    ]
    assert run.config["rewards"]["weight"] == 2.0
    limits = {part["function"]: part["time_limit_seconds"] for part in run.config["rewards"]["functions"]}
    assert limits == {LENGTH_PENALTY: 5.0, EXACT_ANSWER: 600.0}
    assert run.parameters["further_reward_models"] == [other.pk]
    call_command(
        "evaluate_policy", "kitchen", "tiny", "--reward-model", "taste", "--prompt-set", "asked",
        "--further-reward-model", "other = b=0.5", "--further-reward-model-batch", "other = b", "layout=padded",
        "--reward-function", "length_penalty=0.123456789:5",
        "--reward-function", "exact_answer=1:600", "--set", "rewards.weight=2.0", "batch.max_prompt_tokens=2048",
        verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    answer = client.post(
        f"/api/v1/projects/kitchen/policies/{policy.pk}/evaluations",
        {
            "reward_model": model.pk,
            "prompt_set": prompt_set.pk,
            "further_reward_models": [other.pk],
            "further_weights": [0.5],
            "further_batches": [{"layout": "padded"}],
            "reward_functions": [EXACT_ANSWER, LENGTH_PENALTY],
            "function_weights": [1.0, 0.123456789],
            "function_time_limits": [600, 5],
            "settings": {"rewards.weight": 2.0, "batch.max_prompt_tokens": 2048},
        },
        content_type="application/json",
    )
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))
    # Made again from the run, the form shows the same.
    again = shown(client, f"{address}?run={run.pk}")
    assert again["further_weights"] == "0.5" and list(again["further_reward_models"]) == [other.pk]
    assert again["further_batches"] == "layout=padded"
    assert again["function_weights"] == "0.123456789 1" and again["function_time_limits"] == "5 600"
    assert again["reward_functions"] == [LENGTH_PENALTY, EXACT_ANSWER] and again["rewards.weight"] == "2.0"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a.b", ("a.b", 1.0, None)),
        ("a.b=-2", ("a.b", -2.0, None)),
        ("a.b=1:0.5", ("a.b", 1.0, 0.5)),
        ("a=b=2:3", ("a=b", 2.0, 3.0)),
        ("a=1:soon", "“a=1:soon”: what stands behind : is not a number of seconds."),
        ("a=much:3", "“a=much”: what stands behind = is not a number."),
    ],
)
def test_a_function_on_the_command_line_has_a_weight_and_a_limit(text, read):
    if isinstance(read, tuple):
        assert weighted_and_limited(text) == read
    else:
        with pytest.raises(ActionError, match=re.escape(read)):
            weighted_and_limited(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", []),
        ("max_prompt_tokens=9", [{"max_prompt_tokens": 9}]),
        (
            " ; layout=padded max_micro_batch_tokens=auto;",
            [None, {"layout": "padded", "max_micro_batch_tokens": "auto"}, None],
        ),
        ("max_prompt_tokens", "“max_prompt_tokens” is not of the form key=value"),
        ("max_prompt=9", "did you mean max_prompt_tokens?"),
        ("max_prompt_tokens=0", "max_prompt_tokens must be at least 1, found 0"),
        ("layout=wide", "'wide' (str) is not one of"),
    ],
)
def test_batches_of_further_models_are_read_and_written_back(text, read):
    if isinstance(read, list):
        assert batches_in(text) == read == batches_in(batches_as_text(read))
    else:
        with pytest.raises(ValidationError, match=re.escape(read)):
            batches_in(text)


def test_batches_that_belong_to_no_model_are_refused():
    two = [{"layout": "padded"}, None]
    assert batches_for(2, two, "criteria") == [{"batch": {"layout": "padded"}}, {}]
    with pytest.raises(ActionError, match="There are 3 criteria and lengths for 2"):
        batches_for(3, two, "criteria")
    parser = ArgumentParser()
    add_reward_arguments(parser)
    words = ["--further-reward-criterion", "safe=2", "--further-reward-criterion-batch"]
    asked = rewards_from_options(vars(parser.parse_args([*words, "safe", "layout=padded"])))
    assert asked["models"] == [{"criterion": "safe", "weight": 2.0, "batch": {"layout": "padded"}}]
    with pytest.raises(ActionError, match="“kind” is none of --further-reward-criterion"):
        rewards_from_options(vars(parser.parse_args([*words, "kind", "layout=padded"])))
    with pytest.raises(ActionError, match="“safe”: say which of its values"):
        rewards_from_options(vars(parser.parse_args([*words, "safe"])))


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"further_batches": "layout=padded"}, "There are 0 further reward models and lengths for 1"),
        ({"criterion_batches": "layout=padded;"}, "There are 0 criteria and lengths for 2"),
        ({"further_weights": "2"}, "There are 0 further reward models and 1 weights"),
        ({"criterion_weights": "2"}, "There are 0 criteria and 1 weights"),
        ({"function_weights": "2"}, "There are 0 reward functions and 1 weights"),
        ({"function_time_limits": "2"}, "There are 0 reward functions and 1 time limits"),
    ],
)
def test_what_is_said_of_models_that_nobody_chose_is_refused(sent, sentence):
    form = RewardPartsFields(sent)
    assert form.is_valid(), form.errors
    with pytest.raises(ActionError, match=sentence):
        form.reward_parts()


@pytest.mark.parametrize("batches", [[None], [{"layout": "padded"}], [None, None, None]])
def test_a_program_gives_a_batch_or_null_for_each_model(batches):
    two = {"further_reward_models": [3, 8]}
    with pytest.raises(
        ApiValidationError, match=f"There are 2 further reward models and lengths for {len(batches)}"
    ):
        form_rewards(two | {"further_batches": batches})
    with pytest.raises(ApiValidationError, match=f"There are 0 criteria and lengths for {len(batches)}"):
        form_rewards(two | {"criterion_batches": batches})
    assert form_rewards(two | {"further_batches": [None, None]})["further_batches"] == ""


def test_a_batch_is_made_whole_from_that_of_the_first_reward_model():
    rewards = {"models": [{"name": "a", "batch": {"layout": "padded"}}, {"name": "b"}]}
    config = {"batch": {"max_prompt_tokens": 2048, "layout": "auto"}, "rewards": rewards}
    whole = with_whole_batches(config)["rewards"]["models"]
    assert whole == [{"name": "a", "batch": {"max_prompt_tokens": 2048, "layout": "padded"}}, {"name": "b"}]
    of_its_own = config | {"reward_model_batch": {"max_response_tokens": 9}}
    whole = with_whole_batches(of_its_own)["rewards"]["models"]
    assert whole[0]["batch"] == {"max_response_tokens": 9, "layout": "padded"}
    assert own_values(whole[0], of_its_own) == {"layout": "padded"}
    for odd in ({}, {"rewards": None}, {"rewards": {"models": [7, {"batch": 7}]}}):
        assert with_whole_batches(odd) == odd  # refused by the options' own check


def test_programs_name_batches_in_their_own_order():
    """The form's lists are newest first, and by name."""
    sent = {"further_reward_models": [3, 8], "further_batches": [{"max_prompt_tokens": 9}, None]}
    sent |= {"further_criteria": ["taste", "brief"], "criterion_batches": [None, {"layout": "padded"}]}
    values = form_rewards(sent)
    assert values["further_batches"] == "; max_prompt_tokens=9"
    assert values["criterion_batches"] == "layout=padded; "
    with pytest.raises(ApiValidationError, match="unknown option"):
        form_rewards(sent | {"further_batches": [{"max_tokens": 9}, None]})


def test_an_unknown_further_model_is_one_sentence(project, policy, model, write_rows):  # noqa: F811
    path = write_rows([{"prompt": "Which animal?"}], "asked.jsonl")
    call_command("import_prompts", "kitchen", path, "--prompt-set", "asked", verbosity=0)
    from policy_training.actions import evaluate_policy
    from policy_training.evaluation_presets import evaluation_config

    with pytest.raises(ActionError, match="no reward model “nobody's” to take rewards from"):
        evaluate_policy(
            actor=project.memberships.first().user,
            project=project,
            policy=policy,
            reward_model=model,
            prompt_set=project.prompt_sets.get(name="asked"),
            config=evaluation_config("plain") | {"rewards": {"models": [{"name": "nobody's"}]}},
        )


def test_the_page_of_a_policy_says_what_its_reward_was_and_which_alarms_there_were(project, max_, model):  # noqa: F811
    run = Run.objects.create(
        project=project, kind="policy.ppo", title="PPO", requested_by=max_,
        config={"rewards": {"models": [{"name": "safe", "path": "x", "weight": 0.5}]}},
    )  # fmt: skip
    trained = Policy(
        produced_by=run,
        reward_model=model,
        report={
            "parts_before": {"reward_model": 1.0},
            "parts_after": {"reward_model": 1.5, "safe": -2.0},
            "alarms": ["Alarm at step 4: something."],
        },
    )
    assert policy_figures(trained) == [
        ("Its reward", "1 × “taste” + 0.5 × “safe”"),
        ("Of it, reward_model", "1.00 → 1.50"),
        ("Of it, safe", "-2.00"),
        ("Alarms", "Alarm at step 4: something."),
    ]


def test_a_reward_that_was_measured_without_its_judge_says_so():
    report = {"score_before": 1.0, "score_after": 2.0}
    judged = report | {"rewards": {"judge": {"comparisons": 4}}}
    assert policy_figures(Policy(report=report)) == [("Reward on held-out prompts", "1.00 → 2.00")]
    assert policy_figures(Policy(report=judged)) == [
        ("Reward on held-out prompts, without the judge", "1.00 → 2.00")
    ]
    assert outcome(judged) == ("Reward on held-out prompts, without the judge", "1.00 → 2.00")
    assert what_it_learned(report) == "mean reward 1.00 before, 2.00 after"
    assert what_it_learned(judged) == "mean reward 1.00 before, 2.00 after, without the judge"


def test_what_a_reward_is_made_of_in_words():
    further = (RewardModelPart(name="safe", weight=0.5),)
    assert describe_rewards(RewardSourcesOptions(), "good") == ""
    gate = RewardSourcesOptions(combination="safety_gate", models=further, risky_tag="risky")
    assert describe_rewards(gate, "good") == (
        "“safe” where it says less than 0.15 (as a probability), or the prompt has the tag “risky”; else “good”"
    )
    ensemble = RewardSourcesOptions(combination="ensemble", models=further, normalize_models=True)
    assert describe_rewards(ensemble, "good") == (
        "mean of “good” and “safe”, minus 1 times their spread, each model in its own standard deviations"
    )
