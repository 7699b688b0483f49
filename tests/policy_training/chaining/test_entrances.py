"""Every recipe by its page, its command and its API operation: asked to wait, it asks the same as from the policy."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.models import PreferenceDataset
from policy_training.chaining.actions import ACTIONS, Recipe, cancel_chained, queue_due_trainings
from policy_training.models import ChainedTraining
from policy_training.registry import add_policy
from runs.models import Artifact, Run
from tests.policy_training.chaining.conftest import (
    API,
    COMMANDS,
    PAGES,
    ask_by_page,
    ask_by_program,
    command_of,
    make_policy,
)
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]


def test_the_walk_leaves_no_recipe_out():
    assert set(Recipe) == set(ACTIONS) == set(PAGES) == set(COMMANDS) == set(API)


@pytest.mark.parametrize("recipe", list(Recipe))
def test_by_page_command_and_api_it_waits_and_then_is_what_the_command_asks_of_the_policy(
    client, kitchen, first, max_, recipe, capsys
):
    client.force_login(max_)
    asked, datasets = [], PreferenceDataset.objects.count()

    def take():
        training = ChainedTraining.objects.latest("pk")
        assert (training.recipe, training.state, training.after_run) == (recipe, "waiting", first)
        asked.append((training.arguments, training.title))
        return training

    answer = ask_by_page(client, kitchen, recipe, "next", f"run-{first.pk}")
    assert answer.status_code == 302, answer.context["form"].errors
    assert answer.url == reverse("runs:list", args=["kitchen"])
    cancel_chained(actor=max_, training=take())

    call_command(*command_of(recipe, "next", "--after-run", str(first.pk)))
    said = capsys.readouterr().out
    assert f"Asked for training {take().pk}: " in said and f"Waits for run {first.pk}" in said
    cancel_chained(actor=max_, training=ChainedTraining.objects.latest("pk"))

    answer = ask_by_program(client, kitchen, recipe, "next", after_run=first.pk)
    assert answer.status_code == 202, answer.json()
    training = take()
    assert (answer.json()["id"], answer.json()["run"]) == (training.pk, None)
    assert asked[0] == asked[1] == asked[2]
    assert (
        Run.objects.filter(kind__startswith="policy.").count() == 1
    )  # nothing is queued for having been tried out

    assert queue_due_trainings() == 0
    policy = make_policy(first)
    live = reverse("runs:live", args=["kitchen", first.pk])
    if recipe == Recipe.SFT:  # it is to be queued yet: the page of the run that is done looks on
        assert 'hx-trigger="every 2s"' in client.get(live).content.decode()
    assert queue_due_trainings() == 1
    if recipe == Recipe.SFT:
        assert "hx-trigger" not in client.get(live).content.decode()
    training.refresh_from_db()
    assert training.state == "queued" and training.run.title == training.title
    assert training.run.parameters["parent"] == policy.pk
    call_command(*command_of(recipe, "next", "--start", "first"), verbosity=0)
    assert same(training.run, Run.objects.latest("pk"))
    assert (
        PreferenceDataset.objects.count() <= datasets + 1
    )  # judgments are frozen once, when they are asked for


def test_of_best_of_n_the_policy_that_is_being_made_answers_beside_others(client, kitchen, first, max_):
    client.force_login(max_)
    artifact = Artifact.objects.create(
        project=kitchen, kind="policy", path="models/older", sha256="2" * 64, size_bytes=1
    )
    older = add_policy(actor=max_, project=kitchen, name="older", artifact=artifact)
    address, at = reverse("policies:best_of_n", args=["kitchen"]), f"run-{first.pk}"
    sent = shown(client, address) | {
        "name": "next", "start": at, "reward_model": kitchen.reward_models.get().pk, "samplers": [older.pk],
        "prompt_set": kitchen.prompt_sets.get(name="asked").pk, "candidates.samples_per_prompt": "5",
    }  # fmt: skip
    for given, answers in ((sent, 5), (sent | {"start_answers": "on"}, 10)):  # to each prompt
        preview = client.get(address, given | {"part": "preview"}).content.decode()
        assert f">{answers}<" in preview
    answer = client.post(address, sent | {"start_answers": "on"})
    assert answer.status_code == 302, answer.context["form"].errors
    by_page = ChainedTraining.objects.get()
    cancel_chained(actor=max_, training=by_page)
    asked = ("--sampler", "older", "--start-answers", "--set", "candidates.samples_per_prompt=5")
    call_command(*command_of(Recipe.BEST_OF_N, "next", "--after-run", str(first.pk)), *asked, verbosity=0)
    by_command = ChainedTraining.objects.latest("pk")
    assert by_command.arguments == by_page.arguments
    cancel_chained(actor=max_, training=by_command)
    body = {"samplers": [older.pk], "start_answers": True, "settings": {"candidates.samples_per_prompt": 5}}
    answer = ask_by_program(client, kitchen, Recipe.BEST_OF_N, "next", after_run=first.pk, **body)
    assert answer.status_code == 202, answer.json()
    by_program = ChainedTraining.objects.latest("pk")
    assert by_program.arguments == by_page.arguments
    policy = make_policy(first)
    assert queue_due_trainings() == 1
    by_program.refresh_from_db()
    run = by_program.run
    assert run.config["sampler_names"] == ["older", "first"]
    assert run.parameters["samplers"] == [older.pk, policy.pk]
    assert run.config["samplers"][1] == run.config["model"]["source"]
    # It is the run that names both; who is named answers once.
    for named in (("--sampler", "older", "--sampler", "first"), (*asked[:3], "--sampler", "first")):
        call_command(
            *command_of(Recipe.BEST_OF_N, "next", "--start", "first"), *named, *asked[3:], verbosity=0
        )
        assert same(run, Run.objects.latest("pk"))


def test_three_recipes_are_asked_for_at_once(client, kitchen, first, max_):
    client.force_login(max_)
    ask_by_page(client, kitchen, Recipe.PPO, "second", f"run-{first.pk}")
    second = ChainedTraining.objects.get()
    answer = ask_by_page(client, kitchen, Recipe.BEST_OF_N, "third", f"training-{second.pk}")
    assert answer.status_code == 302, answer.context["form"].errors
    call_command(*command_of(Recipe.DPO, "fourth", "--after-training", str(second.pk)), verbosity=0)
    answer = ask_by_program(client, kitchen, Recipe.PRETRAIN, "fifth", after_training=second.pk)
    assert answer.status_code == 202, answer.json()
    assert [row.after_training for row in ChainedTraining.objects.order_by("pk")[1:]] == [second] * 3

    page = client.get(reverse("runs:list", args=["kitchen"])).content.decode()
    for title in ("PPO: first to second", "Best-of-n: second to third", "DPO: second to fourth"):
        assert title in page
    assert "Waits for “second”, which waits itself" in page
    make_policy(first)
    assert queue_due_trainings() == 1
    second.refresh_from_db()
    page = client.get(reverse("runs:run", args=["kitchen", second.run_id])).content.decode()
    assert "Best-of-n: second to third" in page and f"Waits for run {second.run_id}" in page
    # Its run's page says what became of what followed it.
    page = client.get(reverse("runs:run", args=["kitchen", first.pk])).content.decode()
    assert reverse("runs:run", args=["kitchen", second.run_id]) in page
    policy = make_policy(second.run)
    assert queue_due_trainings() == 3
    runs = Run.objects.filter(chained_training__after_training=second)
    assert {run.parameters["parent"] for run in runs} == {policy.pk}
    # The reference is the start, as where it is named.
    assert runs.get(kind="policy.dpo").parameters["reference"] == policy.pk


def test_what_is_bound_to_fail_is_refused_when_it_is_asked_for(client, kitchen, first, max_):
    client.force_login(max_)
    at = f"run-{first.pk}"
    command = command_of(Recipe.PPO, "second", "--after-run", str(first.pk))
    assert "beta" in refused(
        *command_of(Recipe.DPO, "x", "--after-run", str(first.pk)), "--set", "objective.beta=0"
    )
    assert "rollout.steps" in refused(*command, "--set", "rollout.steps=many")
    assert "no reward model “none”" in refused(*command, "--further-reward-model", "none")
    assert "being made already" in refused(*command_of(Recipe.PPO, "first", "--after-run", str(first.pk)))
    assert "no run 999" in refused(*command_of(Recipe.PPO, "x", "--after-run", "999"))
    assert "no chained training 9" in refused(*command_of(Recipe.PPO, "x", "--after-training", "9"))
    kitchen.texts.all().delete()
    answer = ask_by_page(client, kitchen, Recipe.PRETRAIN, "x", at)
    assert answer.status_code == 422 and "no texts" in str(answer.context["form"].errors)
    assert (
        not ChainedTraining.objects.exists() and Run.objects.filter(kind__startswith="policy.").count() == 1
    )
    assert PreferenceDataset.objects.count() == 1  # the reward model's

    call_command(*command, verbosity=0)
    answer = ask_by_page(client, kitchen, Recipe.PPO, "second", at)
    assert "Taken." in str(answer.context["form"].errors["name"])
    answer = ask_by_program(client, kitchen, Recipe.PPO, "x", after_run=first.pk, after_training=1)
    assert answer.status_code == 400 and "only one of them" in str(answer.json())
    assert ask_by_program(client, kitchen, Recipe.PPO, "x").status_code == 400
    assert ask_by_program(client, kitchen, Recipe.PRETRAIN, "x", start=1, after_run=1).status_code == 400


def test_only_a_run_that_will_make_a_policy_is_waited_for(client, kitchen, first, max_):
    other = Run.objects.create(
        project=kitchen, kind="rewardmodel.train", title="Train", config={}, requested_by=max_
    )
    client.force_login(max_)
    assert "makes no policy" in refused(*command_of(Recipe.PPO, "x", "--after-run", str(other.pk)))
    offered = client.get(reverse("policies:ppo", args=["kitchen"])).content.decode()
    assert f'value="run-{first.pk}"' in offered and f'value="run-{other.pk}"' not in offered
    page = client.get(reverse("runs:run", args=["kitchen", first.pk])).content.decode()
    address = f"{reverse('policies:ppo', args=['kitchen'])}?start=run-{first.pk}"
    assert address in page
    assert f'value="run-{first.pk}" selected' in client.get(address).content.decode()
    Run.objects.filter(pk=first.pk).update(state="failed", error="Full.", finished_at=first.created_at)
    assert "retry it first" in refused(*command_of(Recipe.PPO, "x", "--after-run", str(first.pk)))
    # The address of a link that somebody follows after the run has ended.
    scratch = f"{reverse('policies:fine_tune', args=['kitchen'])}?start=run-{first.pk}"
    form = client.get(scratch).context["form"]
    ended = f"Run {first.pk} (Fine-tune first) has ended without a policy: retry it first."
    assert form.errors == {"start": [ended]} and form["start"].value() is None
    assert ended in client.get(scratch).content.decode()
    policy = make_policy(first)
    form = client.get(scratch).context["form"]
    assert form["start"].value() == policy.pk and not form.errors
    assert f'value="{policy.pk}" selected' in client.get(scratch).content.decode()
    said = refused(*command_of(Recipe.PPO, "x", "--after-run", str(first.pk)))
    assert said == f"Run {first.pk} is done: start from its policy “first” itself."
    answer = ask_by_page(client, kitchen, Recipe.PPO, "x", f"run-{first.pk}")
    assert said in answer.context["form"].errors["start"]
