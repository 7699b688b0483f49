"""What becomes of a training that waits: its start fails or is made; it is refused, cancelled, tried again."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now as timezone_now
from django.utils.translation import override

from annotation.models import PreferenceDataset, PromptSet
from learning.interface.options import UserError
from policy_training.chaining.actions import (
    ACTIONS,
    Recipe,
    cancel_chained,
    queue_due_trainings,
    queue_training,
    retry_chained,
    start_or_chain,
)
from policy_training.chaining.arguments import _LISTS, _ROWS, _WORDS
from policy_training.dpo.actions import dpo_config
from policy_training.models import ChainedTraining
from policy_training.registry import PolicyNameTaken
from rounds.worker_tasks import periodic_tasks, tell_of_refusal
from runs.actions import cancel_run, retry_run
from runs.errors import IllegalTransition
from runs.models import Run
from tests.other_connection import in_another_connection, until_it_waits
from tests.policy_training.chaining.conftest import command_of, make_policy
from tests.policy_training.test_commands import refused
from tests.rewardmodel.test_actions import judge  # noqa: F401
from workspace.actions import add_criterion, create_project
from workspace.errors import ActionError
from workspace.members import remove_member
from workspace.models import AuditEvent, User

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_a_start_that_fails_leaves_it_waiting_until_it_was_retried(first, ask_ppo, max_):
    training = ask_ppo(first)
    Run.objects.filter(pk=first.pk).update(state="failed", error="Full.", finished_at=first.created_at)

    def seen():
        return ChainedTraining.objects.get(pk=training.pk)

    assert queue_due_trainings() == 0 and (seen().state, seen().moves) == ("waiting", False)
    assert seen().situation == f"Run {first.pk} failed: retry that one, or cancel this one."
    Run.objects.filter(pk=first.pk).update(state="paused", finished_at=None)
    said = f"Run {first.pk} is paused: have that one go on or end it, or cancel this one."
    assert (seen().moves, seen().situation) == (False, said)
    Run.objects.filter(pk=first.pk).update(state="failed", finished_at=first.created_at)
    retry_run(actor=max_, run=first)
    assert seen().moves and seen().situation.startswith(f"Waits for run {first.pk}: ")
    cancel_run(actor=max_, run=first)
    assert queue_due_trainings() == 0
    assert seen().situation == f"Run {first.pk} was cancelled: retry that one, or cancel this one."
    retry_run(actor=max_, run=first)
    policy = make_policy(first)
    assert queue_due_trainings() == 1 and queue_due_trainings() == 0
    assert seen().run.parameters["parent"] == policy.pk
    queued = AuditEvent.objects.filter(action="run.queue", target_id=str(seen().run_id))
    assert queued.get().actor == max_


def test_a_cancelled_one_is_not_trained_and_what_waits_for_it_says_so(first, ask_ppo, max_):
    second = ask_ppo(first)
    third = ask_ppo(second, "third")
    for _ in range(2):
        assert cancel_chained(actor=max_, training=second).state == "cancelled"
    assert AuditEvent.objects.filter(action="training.cancel").count() == 1
    third.refresh_from_db()
    assert third.situation == "“second” was cancelled: try that one again, or cancel this one."
    make_policy(first)
    assert queue_due_trainings() == 0
    second.refresh_from_db()
    with pytest.raises(ActionError, match="does not wait any more"):
        ask_ppo(second, "fourth")
    ask_ppo(third, "second")  # the name is free again
    with pytest.raises(PolicyNameTaken):
        retry_chained(actor=max_, training=second)
    cancel_chained(actor=max_, training=ChainedTraining.objects.latest("pk"))
    retry_chained(actor=max_, training=second)
    assert queue_due_trainings() == 1
    second.refresh_from_db()
    with pytest.raises(IllegalTransition, match=f"cancel run {second.run_id}"):
        cancel_chained(actor=max_, training=second)
    with pytest.raises(IllegalTransition, match="nothing to try again"):
        retry_chained(actor=max_, training=second)


def test_what_cannot_be_queued_is_refused_with_its_sentence_and_an_event_and_tried_again(
    client, kitchen, first, ask_ppo, max_
):
    training = ask_ppo(first)
    asked = kitchen.prompt_sets.get(name="asked")
    prompts = list(asked.prompts.all())
    asked.prompts.clear()
    make_policy(first)
    assert periodic_tasks()  # what a worker does between runs
    assert queue_due_trainings(tell_of_refusal) == 0
    training.refresh_from_db()
    assert training.state == "refused" and "is empty" in training.error and training.run is None
    said = kitchen.events.get(kind="training.refused")
    assert (said.data["training"], said.data["error"]) == (training.pk, training.error)
    client.force_login(max_)
    for page in ("events:list", "runs:list"):
        shown = client.get(reverse(page, args=["kitchen"])).content.decode()
        assert training.title in shown and "is empty" in shown
    asked.prompts.set(prompts)
    retry_chained(actor=max_, training=training)
    assert queue_due_trainings(tell_of_refusal) == 1
    training.refresh_from_db()
    assert (training.state, training.error) == ("queued", "") and training.run.state == "queued"


def test_a_row_that_was_removed_and_a_fault_of_the_program_are_sentences(
    kitchen, first, ask_ppo, monkeypatch
):
    removed, faulty, older = ask_ppo(first), ask_ppo(first, "third"), ask_ppo(first, "fourth")
    kept = removed.arguments["prompt_set"]
    assert kept == {"id": kitchen.prompt_sets.get(name="asked").pk, "name": "asked"}
    ChainedTraining.objects.filter(pk=removed.pk).update(
        arguments=removed.arguments | {"prompt_set": kept | {"id": 999_999}}
    )
    # As trainings were stored that kept no names.
    as_before = {"prompt_set": 999_999, "reward_model": older.arguments["reward_model"]["id"]}
    ChainedTraining.objects.filter(pk=older.pk).update(arguments=older.arguments | as_before)
    ChainedTraining.objects.filter(pk=faulty.pk).update(arguments=faulty.arguments | {"of_another": 1})
    make_policy(first)
    assert queue_due_trainings() == 3
    removed.refresh_from_db()
    older.refresh_from_db()
    faulty.refresh_from_db()
    sentence = "The prompt set %s that it was asked with was removed: ask for the training anew."
    assert removed.error == sentence % "“asked”" and older.error == sentence % 999_999
    with override("de"):
        assert str(_WORDS[PromptSet]) == "Prompt-Sammlung"
    assert set(_WORDS) == {*_ROWS.values(), *_LISTS.values()}
    assert "fault of the program" in faulty.error and "of_another" in faulty.error
    assert not Run.objects.filter(kind="policy.ppo").exists()


@pytest.mark.parametrize(
    ("error", "stored"),
    [
        (UserError("The file\x00 is gone."), "The file� is gone."),
        (UserError(""), "This is a fault of the program (UserError: ); the worker's log tells more."),
    ],
)
def test_a_refusal_can_be_stored_whatever_it_says(first, ask_ppo, monkeypatch, error, stored):
    training = ask_ppo(first)
    make_policy(first)

    def refuse(*args, **arguments):
        raise error

    monkeypatch.setitem(ACTIONS, training.recipe, refuse)
    assert queue_due_trainings() == 1
    training.refresh_from_db()
    assert (training.state, training.error) == ("refused", stored)


def test_it_acts_for_who_asked_only_while_they_manage_and_for_who_tries_it_again(
    kitchen, first, ask_ppo, max_, ruth
):
    training = ask_ppo(first)
    make_policy(first)
    kitchen.memberships.filter(user=max_).update(role="reviewer")
    assert queue_due_trainings() == 1
    training.refresh_from_db()
    assert training.error.startswith("max, who asked for this training, is not a manager")
    kitchen.memberships.filter(user=ruth).update(role="manager")
    retry_chained(actor=ruth, training=training)
    assert queue_due_trainings() == 1
    training.refresh_from_db()
    assert (training.state, training.requested_by, training.run.requested_by) == ("queued", ruth, ruth)


@pytest.mark.parametrize("gone", ["from the project", "from the site"])
def test_an_operator_who_is_gone_is_acted_for_no_more(kitchen, first, ask_ppo, max_, ruth, gone):
    kitchen.memberships.filter(user=ruth).update(role="manager")
    User.objects.filter(pk=max_.pk).update(is_staff=True, is_superuser=True)
    training = ask_ppo(first)
    make_policy(first)
    if gone == "from the project":
        remove_member(actor=ruth, project=kitchen, user=max_)
    else:
        User.objects.filter(pk=max_.pk).update(is_active=False)
    assert queue_due_trainings() == 1
    training.refresh_from_db()
    assert training.state == "refused" and training.run is None
    assert training.error.startswith("max, who asked for this training, is not a manager")


def test_an_operator_who_does_not_manage_the_project_is_told_when_they_ask(
    kitchen, first, ask_ppo, max_, make_user
):
    make_user("root", is_staff=True, is_superuser=True)
    asked = command_of(Recipe.PPO, "second", "--after-run", str(first.pk))
    assert "root does not manage the project" in refused(*asked, "--actor", "root")
    assert not ChainedTraining.objects.exists()
    training = ask_ppo(first)
    cancel_chained(actor=max_, training=training)
    said = refused("chained_trainings", "kitchen", "--retry", str(training.pk), "--actor", "root")
    assert "root does not manage the project" in said


def test_a_dpo_that_is_refused_leaves_no_dataset_behind(kitchen, first, judge, max_):  # noqa: F811
    harmless = add_criterion(actor=max_, project=kitchen, name="harmless", question="Which harms less?")
    judge("train", tie=True, on=harmless)
    before = set(PreferenceDataset.objects.values_list("pk", flat=True))
    asked = (*command_of(Recipe.DPO, "liked", "--after-run", str(first.pk)), "--criterion", "harmless")
    assert "0 usable comparisons of 1 in the split train" in refused(*asked)
    assert set(PreferenceDataset.objects.values_list("pk", flat=True)) == before
    # What waits keeps its dataset; another that takes it and is refused does not take it away.
    helpful = kitchen.criteria.exclude(pk=harmless.pk).get()
    waits = command_of(Recipe.DPO, "liked", "--after-run", str(first.pk))
    call_command(*waits, "--criterion", helpful.name, verbosity=0)
    kept = PreferenceDataset.objects.exclude(pk__in=before).get()
    assert ChainedTraining.objects.get().arguments["dataset"]["id"] == kept.pk
    with pytest.raises(ActionError, match="found 100000"):
        start_or_chain(
            Recipe.DPO,
            actor=max_,
            project=kitchen,
            name="other",
            start=first,
            config=dpo_config("tiny"),
            criteria=[helpful],
            processes=100_000,
        )
    assert PreferenceDataset.objects.filter(pk=kept.pk).exists()


def test_a_name_that_was_taken_meanwhile_gets_a_number(first, ask_ppo, max_, kitchen):
    training = ask_ppo(first)
    kitchen.policies.filter(pk=make_policy(first).pk).update(name="second")
    assert queue_due_trainings() == 1
    training.refresh_from_db()
    assert training.run.parameters["name"] == "second (2)"


def test_another_projects_run_is_none(first, ask_ppo, max_):
    other = create_project(actor=max_, name="Attic")
    theirs = Run.objects.create(project=other, kind="policy.sft", title="A", config={}, requested_by=max_)
    with pytest.raises(ActionError, match="another project"):
        ask_ppo(theirs)


def test_the_command_lists_cancels_and_tries_again(first, ask_ppo, capsys, monkeypatch):
    training = ask_ppo(first)

    def said(*options):
        call_command("chained_trainings", "kitchen", *options)
        return capsys.readouterr().out

    line = f"{training.pk}: PPO: first to second (waiting). Waits for run {first.pk}: Fine-tune first"
    assert said().strip() == line
    cancelled = f"{training.pk}: PPO: first to second (cancelled). Cancelled"
    assert said("--cancel", str(training.pk)).strip() == cancelled
    assert said("--retry", str(training.pk)).strip() == line
    said("--cancel", str(training.pk))
    with monkeypatch.context() as patch:
        patch.setattr("policy_training.models.timezone.now", lambda: timezone_now() + timedelta(days=7))
        assert said().strip() == "No training waits for another."
    assert "no chained training 99" in refused("chained_trainings", "kitchen", "--cancel", "99")


def test_the_buttons_and_operations_of_one_that_waits(client, first, ask_ppo, max_, ruth):
    training = ask_ppo(first)
    client.force_login(max_)
    address = reverse("policies:cancel_chained", args=["kitchen", training.pk])
    assert address in client.get(reverse("runs:list", args=["kitchen"])).content.decode()
    client.post(address)
    training.refresh_from_db()
    assert training.state == "cancelled"
    retry = reverse("policies:retry_chained", args=["kitchen", training.pk])
    assert retry in client.get(reverse("runs:list", args=["kitchen"])).content.decode()
    client.post(retry)
    api = f"/api/v1/projects/kitchen/policy-trainings/chained/{training.pk}"
    assert client.get(api).json()["state"] == "waiting"
    assert client.post(f"{api}/cancel").json()["state"] == "cancelled"
    assert client.post(f"{api}/retry").json()["situation"].startswith("Waits for run")
    rows = client.get(f"{api.rpartition('/')[0]}?state=waiting").json()["results"]
    assert [row["name"] for row in rows] == ["second"]
    client.force_login(ruth)  # reviews: sees it, and no button
    page = client.get(reverse("runs:list", args=["kitchen"])).content.decode()
    assert "PPO: first to second" in page and address not in page


@pytest.mark.django_db(transaction=True)
def test_two_workers_queue_it_once(first, ask_ppo):
    training = ask_ppo(first)
    make_policy(first)
    with transaction.atomic():
        assert queue_due_trainings() == 1  # the first worker, which has not committed yet
        thread, found = in_another_connection(lambda: queue_training(training.pk, tell_of_refusal))
        until_it_waits(thread)
    thread.join()
    training.refresh_from_db()
    assert found == [False] and Run.objects.filter(kind="policy.ppo").get() == training.run


def test_a_worker_that_is_killed_in_it_has_done_nothing(first, ask_ppo, monkeypatch):
    training = ask_ppo(first)
    make_policy(first)

    def killed(self, **fields):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ChainedTraining, "save", killed)
        with pytest.raises(KeyboardInterrupt), transaction.atomic():
            queue_due_trainings()
    training.refresh_from_db()
    assert training.state == "waiting" and not Run.objects.filter(kind="policy.ppo").exists()
    assert queue_due_trainings() == 1 and Run.objects.filter(kind="policy.ppo").count() == 1
