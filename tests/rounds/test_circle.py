"""The whole circle with real commands on models of a few thousand parameters: two rounds, every link looked at."""

from dataclasses import replace

import pytest

from annotation.models import Judgment, Response, Task
from annotation.quality import actions as quality
from demo import constants
from demo.project_setup import base_policy, create_demo_project
from demo.simulation import simulate_judgments
from learning.interface.options import options_to_dict
from learning.interface.record_files import read_records
from learning.interface.record_schemas import COMPARISONS, DEMONSTRATIONS, PROMPTS
from policy_training.actions import train_sft
from rounds.actions import start_round
from rounds.models import Round, Stage
from rounds.plan_changes import with_steps
from rounds.plans import with_lengths
from rounds.reports import round_report
from rounds.steps import step_from_words
from rounds.worker_tasks import RUN_KINDS, periodic_tasks
from runs.models import Run
from runs.worker import run_worker
from tests.demo.small import small_base_policy_config

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PROMPTS_PER_ROUND = 24


@pytest.fixture(autouse=True)
def nothing_is_measured(monkeypatch):
    """The run would open the site's own database, and not that of the tests."""
    monkeypatch.setattr(quality, "_next_look", float("inf"))


@pytest.fixture
def small(monkeypatch):
    """The demo with everything cut down: seconds instead of minutes, the same commands and rows."""
    monkeypatch.setattr(constants, "RESERVED_TASKS", 3)
    monkeypatch.setattr(constants, "WARM_UP_PAIRS", 4)
    monkeypatch.setattr(constants, "VOCABULARY", 400)
    size = constants.Size(demonstrations=120, policy_prompts=60, evaluation_prompts=8)
    demo = create_demo_project(seed=3, size=size)
    config = small_base_policy_config()
    plan = constants.round_plan(3, 1, demo.annotator.username)
    plan = replace(
        plan,
        sampling=replace(
            plan.sampling,
            prompts=PROMPTS_PER_ROUND,
            responses_per_task=3,
        ),
        reward_model=replace(
            plan.reward_model, data=replace(plan.reward_model.data, epochs=1, comparisons_per_step=8)
        ),
        policy=replace(
            plan.policy,
            rollout=replace(plan.policy.rollout, steps=2, prompts_per_step=4, samples_per_prompt=2),
            algorithm=replace(plan.policy.algorithm, responses_per_minibatch=4),
            critic=replace(plan.policy.critic, max_pretraining_updates=1),
        ),
    )
    plan = with_lengths(plan, max_prompt_tokens=48, max_response_tokens=16)
    # DPO on the judgments first, then PPO from there, held near the policy that the round started from.
    steps = [["dpo", "data.epochs=1", "data.comparisons_per_step=8"], ["ppo"]]
    return demo, config, with_steps(plan, [step_from_words(words, policy=plan.policy) for words in steps])


def carry() -> None:
    run_worker(RUN_KINDS, periodic_tasks, stop_when_idle=True, install_signals=False)


def fill(demo, round_) -> None:
    round_.refresh_from_db()
    assert round_.stage == Stage.ANNOTATING, round_.error
    while simulate_judgments(
        actor=demo.manager, batch=round_.batch, annotators=demo.simulated, seed=3, limit=100
    ):
        pass


def run_of(round_, stage, step=0) -> Run:
    return round_.round_runs.get(stage=stage, purpose="stage", step=step).run


def test_two_rounds_turn_and_every_link_is_stored(small):
    demo, config, plan = small
    project, manager = demo.project, demo.manager
    train_sft(actor=manager, project=project, name="base", config=options_to_dict(config))
    carry()
    base = base_policy(demo)
    assert base is not None, Run.objects.latest("pk").error
    first = start_round(
        actor=manager,
        project=project,
        criterion=project.criteria.get(),
        start_policy=base,
        prompt_set=demo.policy_prompts,
        plan=plan,
    )
    carry()
    fill(demo, first)
    carry()
    first.refresh_from_db()
    assert first.stage == Stage.DONE, first.error
    second = Round.objects.get(number=2)
    fill(demo, second)
    carry()
    second.refresh_from_db()
    assert second.stage == Stage.DONE, second.error

    # The second round starts from the first's policy, against it, and compares it with the one before.
    assert second.start_policy == first.new_policy
    assert first.new_policy.parent.parent == base
    dpo, ppo = run_of(second, Stage.POLICY), run_of(second, Stage.POLICY, 1)
    start_folder = first.new_policy.artifact.path
    assert dpo.config["model"]["source"]["path"] == ppo.config["reference"]["path"] == start_folder
    between = second.new_policy.parent
    assert ppo.config["policy"]["source"]["path"] == between.artifact.path
    assert between.produced_by == dpo and between.parent == first.new_policy
    assert dpo.parameters["dataset"] == second.dataset_id
    assert second.new_policy.report["reference_sha256s"] == first.new_policy.report["model_sha256s"]
    assert first.reward_model.report["model_sha256s"] == first.new_policy.report["reward_model_sha256s"]

    # Its reward model trained on all judgments so far, those of the first round included, and on no head-to-head pair.
    trained_on = read_records(
        run_of(second, Stage.REWARD_MODEL).path / "inputs" / "comparisons.parquet", COMPARISONS
    )
    judgments = (
        Judgment.objects.counted()
        .of_project(project)
        .for_reward_model_training()
        .exclude(task__prompt__split="test")
    )
    assert {row["group_id"] for row in trained_on} == {
        str(pk) for pk in judgments.values_list("pk", flat=True)
    }
    rounds_seen = {row["round"] for row in trained_on}
    assert {1, 2} <= rounds_seen
    compared = Judgment.objects.of_project(project).of_purposes(Task.Purpose.HEAD_TO_HEAD)
    assert compared.exists()

    # No prompt is on two sides: not of demonstrations and comparisons, not of PPO's rollouts and its evaluation.
    sides: dict[str, set[str]] = {}
    for row in trained_on:
        sides.setdefault(str(row["prompt"]), set()).add(row["split"])
    for row in read_records(ppo.path / "inputs" / "prompts.parquet", PROMPTS):
        sides.setdefault(str(row["messages"]), set()).add(row["split"])
    learned = read_records(base.produced_by.path / "inputs" / "demonstrations.parquet", DEMONSTRATIONS)
    assert learned
    for row in learned:
        sides.setdefault(str(row["prompt"]), set()).add(row["split"])
    assert all(len(splits) == 1 for splits in sides.values())
    evaluation = set(demo.evaluation_prompts.prompts.values_list("pk", flat=True))
    tasks = Task.objects.filter(batch__project=project)
    trained_on = tasks.filter(purpose=Task.Purpose.NORMAL)
    assert evaluation.isdisjoint(trained_on.values_list("prompt_id", flat=True))

    # Head-to-head pairs are on those, and on the held-out side of the round's set.
    for task in tasks.filter(purpose=Task.Purpose.HEAD_TO_HEAD).select_related("prompt"):
        assert task.prompt_id in evaluation or task.prompt.split != "train"

    # The chain can be walked from a new response back to the base policy, and forth again.
    response = Response.objects.filter(source=second.start_policy.source).first()
    policy = response.source.policy
    assert policy.reward_model.dataset == first.dataset
    assert policy.produced_in_round == first
    assert policy.parent.parent.source.responses.filter(task_responses__task__batch=first.batch).exists()

    # Head-to-head tasks pit exactly the two policies against each other.
    task = Task.objects.filter(batch=second.batch, purpose=Task.Purpose.HEAD_TO_HEAD).first()
    assert {entry.response.source_id for entry in task.task_responses.all()} == {
        base.source_id,
        first.new_policy.source_id,
    }

    report = round_report(second, demo.annotator)
    (result,) = report.head_to_head
    assert (result.opponent, result.total, result.on_trained_prompts) == ("base", compared.count(), 0)
    assert [entry.status for entry in report.timeline] == ["done"] * 6

    # A third round stands ready: the new policy's answers wait for people.
    third = Round.objects.get(number=3)
    assert third.stage == Stage.ANNOTATING
    assert Task.objects.filter(batch=third.batch, open_slots__gt=0).exists()
