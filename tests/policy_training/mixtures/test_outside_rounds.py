"""Prompts of several sets for a training outside a round: page, command and API ask the same, and it gets them."""

from collections import Counter
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.models import PromptSet
from policy_training.run_kinds import BEST_OF_N, POLICY_GRADIENT, PPO
from runs.models import Run
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.training.conftest import reward_model_path  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset, model  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]
RECIPES = {
    "ppo": (PPO, "ppo"),
    "policy_gradient": (POLICY_GRADIENT, "policy-gradient"),
    "best_of_n": (BEST_OF_N, "best-of-n"),
}
REWARDED = ("--start", "tiny", "--reward-model", "taste")


@pytest.fixture
def sets(project, write_rows):
    """Ten helpful and seven harmless prompts to learn on, and two held out of each."""
    for name, count in (("helpful", 10), ("harmless", 7)):
        rows = [
            {"prompt": f"{name} {n}?", "split": "train" if n < count else "test"} for n in range(count + 2)
        ]
        path = write_rows(rows, f"{name}.jsonl")
        call_command("import_prompts", "kitchen", path, "--prompt-set", name, verbosity=0)
    return {one.name: one for one in project.prompt_sets.filter(name__in=("helpful", "harmless"))}


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_page_command_and_api_ask_for_the_same_shares_and_the_run_gets_them(
    client, policy, model, sets, max_, recipe  # noqa: F811
):  # fmt: skip
    kind, api = RECIPES[recipe]
    client.force_login(max_)
    address = reverse(f"policies:{recipe}", args=["kitchen"])
    values = shown(client, address) | {
        "name": "better", "start": policy.pk, "reward_model": model.pk, "prompt_set": sets["harmless"].pk,
        "trained_sets": "helpful = 5\nharmless = 2", "trained_prompts": "7",
    }  # fmt: skip
    preview = client.post(f"{address}?part=preview", values).content.decode()
    assert "Prompts to learn on</dt><dd>7<" in preview and "reward</dt><dd>4<" in preview
    run = started(client.post(address, values))
    call_command(
        f"train_{recipe}", "kitchen", "better", *REWARDED, "--trained-set", "helpful = 5",
        "--trained-set", "harmless=2", "--trained-prompts", "7", stdout=StringIO(),
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    body = {
        "name": "better", "start": policy.pk, "reward_model": model.pk, "trained_prompts": 7,
        "trained_sets": [{"prompt_set": "helpful", "amount": 5}, {"prompt_set": "harmless", "amount": 2}],
    }  # fmt: skip
    url = f"/api/v1/projects/kitchen/policy-trainings/{api}"
    answer = client.post(url, body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))
    rows = list(kind.build_inputs(run)["prompts"][0])
    counted = Counter((row["messages"][-1]["content"].split()[0], row["split"]) for row in rows)
    assert counted == {
        ("helpful", "train"): 5, ("harmless", "train"): 2, ("helpful", "test"): 2, ("harmless", "test"): 2,
    }  # fmt: skip
    # One like it draws the same numbers.
    again = client.get(address, {"run": run.pk}).context["form"]
    assert (
        again["trained_sets"].value() == "helpful = 5\nharmless = 2"
        and again["trained_are"].value() == "numbers"
    )
    both = client.post(url, body | {"prompt_set": sets["helpful"].pk}, content_type="application/json")
    neither = client.post(
        url,
        {name: value for name, value in body.items() if name != "trained_sets"},
        content_type="application/json",
    )
    assert (both.status_code, neither.status_code) == (400, 400) and "not both" in both.content.decode()


def test_what_cannot_be_drawn_is_refused_with_a_sentence(client, policy, model, sets, max_):  # noqa: F811
    command = ("train_ppo", "kitchen", "better", *REWARDED)
    too_many = ("--trained-set", "helpful=5", "--trained-set", "harmless=8", "--trained-are", "numbers")
    assert "“harmless” has 7 prompts" in refused(*command, *too_many)
    call_command(*command, *too_many, "--trained-short", "top_up", stdout=StringIO())
    shares = Run.objects.latest("pk").parameters["prompt_mixture"]
    assert [(share["name"], share["prompts"]) for share in shares] == [("helpful", 6), ("harmless", 7)]
    assert "and not both" in refused(*command, "--trained-set", "helpful=5", "--prompt-set", "helpful")
    assert "and not both" in refused(*command)
    assert "mixture by weights" in refused(*command, "--trained-prompts", "5")
    assert "no prompt set “x”" in refused(*command, "--trained-set", "x=5")
    assert "one prompt set, not with a mixture" in refused(
        "train_best_of_n", "kitchen", "b", *REWARDED, "--trained-set", "helpful=5", "--stored-others"
    )
    client.force_login(max_)
    address = reverse("policies:ppo", args=["kitchen"])
    values = shown(client, address) | {"name": "b", "start": policy.pk, "reward_model": model.pk}
    answer = client.post(address, values | {"prompt_set": sets["helpful"].pk, "trained_sets": "helpful 5"})
    assert (
        answer.status_code == 422 and "“helpful 5”: write" in answer.context["form"].errors["trained_sets"][0]
    )


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_prompts_kept_for_measuring_train_no_policy(policy, model, sets, recipe):  # noqa: F811
    PromptSet.objects.filter(name="helpful").update(purpose="evaluation")
    for asked in (("--prompt-set", "helpful"), ("--trained-set", "helpful=1")):
        assert "“helpful” is kept for evaluation" in refused(
            f"train_{recipe}", "kitchen", "b", *REWARDED, *asked
        )
