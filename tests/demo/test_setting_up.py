import pytest
from django.core.management import CommandError, call_command

from annotation.batches.actions import create_batch
from annotation.batches.progress import batch_progress
from annotation.models import Batch, Judgment, PromptSet, Task
from annotation.queue.actions import claim_task
from demo import constants
from demo.setting_up import set_up, stop_earlier_demonstrations
from demo.simulation import simulate_judgments
from rounds.plans import load_plan, plan_to_dict
from workspace.models import User

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def demonstration(monkeypatch):
    monkeypatch.setattr(constants, "DEMONSTRATIONS", 40)
    monkeypatch.setattr(constants, "POLICY_PROMPTS", 30)
    monkeypatch.setattr(constants, "EVALUATION_PROMPTS", 10)
    return set_up(seed=1)


def test_pairs_wait_for_the_visitor_and_for_nobody_else(demonstration):
    tasks = Task.objects.filter(batch__project=demonstration.project)
    assert tasks.count() == constants.WARM_UP_PAIRS
    assert set(tasks.values_list("reserved_for", flat=True)) == {demonstration.visitor.pk}
    progress = batch_progress(Batch.objects.get(project=demonstration.project))
    assert (progress.tasks, progress.quota, progress.counted) == (20, 20, 0)
    assert claim_task(actor=demonstration.visitor, project=demonstration.project) is not None


def test_no_prompt_of_the_evaluation_is_used_anywhere_else(demonstration):
    evaluation = set(demonstration.evaluation_prompts.prompts.values_list("content_hash", flat=True))
    others = demonstration.project.prompts.exclude(prompt_sets=demonstration.evaluation_prompts)
    assert len(evaluation) == 10
    assert evaluation.isdisjoint(others.values_list("content_hash", flat=True))
    assert demonstration.policy_prompts.purpose == PromptSet.Purpose.POLICY


def test_a_second_demonstration_is_a_project_of_its_own_with_new_passwords(demonstration):
    stop_earlier_demonstrations()
    second = set_up(seed=1)
    assert second.project.pk != demonstration.project.pk
    assert second.visitor == demonstration.visitor
    assert second.visitor_password != demonstration.visitor_password
    second.visitor.refresh_from_db()
    assert not second.visitor.check_password(demonstration.visitor_password)


def fill(demonstration, seed, overlap=2):
    batch = create_batch(
        actor=demonstration.manager,
        project=demonstration.project,
        criterion=demonstration.project.criteria.get(),
        name=f"batch {seed}",
        overlap=overlap,
    )
    from annotation.batches.actions import NewTask, add_tasks, open_batch

    tasks = [
        NewTask(prompt=task.prompt, responses=[entry.response for entry in task.task_responses.all()])
        for task in Task.objects.filter(batch__name="Warm-up")
    ]
    add_tasks(actor=demonstration.manager, batch=batch, tasks=tasks)
    open_batch(actor=demonstration.manager, batch=batch)
    return batch


def test_simulated_annotators_fill_the_quota_under_accounts_of_their_own_kind(demonstration):
    batch = fill(demonstration, seed=5)
    came = []
    while not came or came[-1]:
        came.append(
            simulate_judgments(
                actor=demonstration.manager, batch=batch, annotators=demonstration.simulated, seed=5, limit=13
            )
        )
    assert batch_progress(batch).quota_met
    assert sum(came) == 2 * constants.WARM_UP_PAIRS
    kinds = set(Judgment.objects.in_batch(batch).values_list("annotator__kind", flat=True))
    assert kinds == {User.Kind.SIMULATED}
    people = Judgment.objects.in_batch(batch).values_list("task", "annotator")
    assert len(set(people)) == len(people)


def test_the_plan_of_the_demonstration_can_be_recorded(demonstration):
    plan = constants.round_plan(1, 1, demonstration.visitor.username)
    assert load_plan(plan_to_dict(plan)) == plan


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--limit=-5", "--limit is -5: it must be at least 1."),
        ("--annotators=0", "--annotators is 0: it must be at least 1."),
        ("--noise=-1", "--noise is -1.0: it must be at least 0."),
    ],
)
def test_a_senseless_simulation_is_refused_with_a_sentence(demonstration, option, sentence):
    with pytest.raises(CommandError) as caught:
        call_command("simulate_annotators", demonstration.project.slug, option)
    assert (str(caught.value), caught.value.returncode) == (sentence, 2)
