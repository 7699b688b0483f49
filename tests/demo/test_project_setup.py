import pytest
from django.core.management import CommandError, call_command

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.batches.progress import batch_progress
from annotation.models import Batch, Judgment, PromptSet, Task
from annotation.queue.actions import claim_task
from demo import constants
from demo.project_setup import cancel_earlier_demos, create_demo_project
from demo.simulation import simulate_judgments
from rounds.plans import load_plan, plan_to_dict
from workspace.models import User

pytestmark = [pytest.mark.db, pytest.mark.django_db]
SIZE = constants.Size(demonstrations=40, policy_prompts=30, evaluation_prompts=10)


@pytest.fixture
def demo():
    return create_demo_project(seed=1, size=SIZE)


def test_pairs_wait_for_the_visitor_and_for_nobody_else(demo):
    tasks = Task.objects.filter(batch__project=demo.project)
    assert tasks.count() == constants.WARM_UP_PAIRS
    assert set(tasks.values_list("reserved_for", flat=True)) == {demo.annotator.pk}
    progress = batch_progress(Batch.objects.get(project=demo.project))
    assert (progress.tasks, progress.quota, progress.counted) == (20, 20, 0)
    assert claim_task(actor=demo.annotator, project=demo.project) is not None


def test_no_prompt_of_the_evaluation_is_used_anywhere_else(demo):
    evaluation = set(demo.evaluation_prompts.prompts.values_list("content_hash", flat=True))
    others = demo.project.prompts.exclude(prompt_sets=demo.evaluation_prompts)
    assert len(evaluation) == 10
    assert evaluation.isdisjoint(others.values_list("content_hash", flat=True))
    assert demo.policy_prompts.purpose == PromptSet.Purpose.POLICY


def test_a_second_demo_is_a_project_of_its_own_with_new_passwords(demo):
    cancel_earlier_demos()
    second = create_demo_project(seed=1, size=SIZE)
    assert second.project.pk != demo.project.pk
    assert second.annotator == demo.annotator
    assert second.annotator_password != demo.annotator_password
    second.annotator.refresh_from_db()
    assert not second.annotator.check_password(demo.annotator_password)


def fill(demo, seed, overlap=2):
    batch = create_batch(
        actor=demo.manager,
        project=demo.project,
        criterion=demo.project.criteria.get(),
        name=f"batch {seed}",
        overlap=overlap,
    )
    tasks = [
        NewTask(prompt=task.prompt, responses=[entry.response for entry in task.task_responses.all()])
        for task in Task.objects.filter(batch__name="Warm-up")
    ]
    add_tasks(actor=demo.manager, batch=batch, tasks=tasks)
    open_batch(actor=demo.manager, batch=batch)
    return batch


def test_simulated_annotators_fill_the_quota_under_accounts_of_their_own_kind(demo):
    batch = fill(demo, seed=5)
    counts = []
    while not counts or counts[-1]:
        counts.append(
            simulate_judgments(actor=demo.manager, batch=batch, annotators=demo.simulated, seed=5, limit=13)
        )
    assert batch_progress(batch).quota_met
    assert sum(counts) == 2 * constants.WARM_UP_PAIRS
    kinds = set(Judgment.objects.in_batch(batch).values_list("annotator__kind", flat=True))
    assert kinds == {User.Kind.SIMULATED}
    people = Judgment.objects.in_batch(batch).values_list("task", "annotator")
    assert len(set(people)) == len(people)


def test_the_plan_of_the_demo_can_be_recorded(demo):
    plan = constants.round_plan(1, 1, demo.annotator.username)
    assert load_plan(plan_to_dict(plan)) == plan


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--limit=-5", "--limit is -5: it must be at least 1."),
        ("--annotators=0", "--annotators is 0: it must be at least 1."),
        ("--noise=-1", "--noise is -1.0: it must be at least 0."),
    ],
)
def test_a_senseless_simulation_is_refused_with_a_sentence(demo, option, sentence):
    with pytest.raises(CommandError) as caught:
        call_command("simulate_annotators", demo.project.slug, option)
    assert (str(caught.value), caught.value.returncode) == (sentence, 2)
