import pytest

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import NewResponse, add_responses
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import PreferenceDataset
from annotation.queue.actions import claim_task
from rewardmodel.figures import PLOT_SIZE, accuracy_by_strength, reliability_points
from rewardmodel.models import ResponseScore, RewardModel
from rounds.actions import cancel_round, start_round
from rounds.plans import preset_plan
from rounds.reports import HeadToHead, round_report, timeline
from rounds.stages.scoring import judgments_to_compare
from runs.models import Artifact, Run

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def round_(project, criterion, policy, prompt_set, max_):
    return start_round(
        actor=max_,
        project=project,
        criterion=criterion,
        start_policy=policy,
        prompt_set=prompt_set,
        plan=preset_plan("tiny"),
    )


@pytest.fixture
def reward_model(project, criterion, max_):
    artifact = Artifact.objects.create(
        project=project, kind=Artifact.Kind.REWARD_MODEL, path="models/rm", sha256="1" * 64, size_bytes=1
    )
    dataset = PreferenceDataset.objects.create(
        project=project,
        name="d",
        criterion=criterion,
        directory="datasets/d",
        manifest_sha256="2" * 64,
        created_by=max_,
    )
    run = Run.objects.create(
        project=project, kind="rewardmodel.train", title="t", config={}, requested_by=max_
    )
    reward_model = RewardModel.objects.create(
        project=project, name="rm", artifact=artifact, dataset=dataset, produced_by=run
    )
    reward_model.criteria.add(criterion)
    return reward_model


def judged(project, criterion, policy, prompt_set, manager, annotator, tiers, strengths, texts):
    batch = create_batch(
        actor=manager,
        project=project,
        criterion=criterion,
        name=f"b{len(texts)}",
        responses_per_task=len(texts),
    )
    rows = [NewResponse(prompt=prompt_set.prompts.first(), source=policy.source, text=text) for text in texts]
    responses = add_responses(actor=manager, project=project, rows=rows)
    add_tasks(actor=manager, batch=batch, tasks=[NewTask(prompt=responses[0].prompt, responses=responses)])
    open_batch(actor=manager, batch=batch)
    assignment = claim_task(actor=annotator, project=project, batch=batch)
    submit_judgment(
        actor=annotator,
        assignment=assignment,
        content=JudgmentInput(tiers=tiers, strengths=strengths, seconds=1.0),
        idempotency_key=f"key-{batch.pk}-00",
    )
    return dict(zip("ABCDEFGHI", assignment.order_shown, strict=False))


def test_agreement_counts_the_untied_pairs_of_each_person_by_name(
    project, criterion, policy, prompt_set, max_, ada, round_, reward_model
):
    shown = judged(
        project, criterion, policy, prompt_set, max_, ada, [["A"], ["B", "C"]], [2], ["x", "y", "z"]
    )
    # The reward model has A over B as ada has, but C over A; of B and C ada said nothing.
    for handle, reward in {"A": 0.5, "B": -1.0, "C": 2.0}.items():
        ResponseScore.objects.create(reward_model=reward_model, response_id=shown[handle], reward=reward)
    round_.reward_model = reward_model
    report = round_report(round_, max_)
    ((name, agreed),) = report.other_agreements
    assert (name, agreed.agreed, agreed.pairs) == ("ada", 1, 2)
    assert report.reader_agreement.pairs == 0
    own = round_report(round_, ada)
    assert (own.reader_agreement.agreed, own.reader_agreement.pairs, own.other_agreements) == (1, 2, [])
    # What it scores alike (the same tokens after its cut) is half a point.
    ResponseScore.objects.filter(response_id=shown["B"]).update(reward=0.5)
    ((_, agreed),) = round_report(round_, max_).other_agreements
    assert (agreed.agreed, agreed.pairs) == (0.5, 2)


def test_judgments_of_machines_are_not_peoples(project, criterion, round_, max_):
    assert not judgments_to_compare(round_).exists()


def test_the_timeline_of_a_new_round_is_at_its_first_stage(round_):
    assert [entry.status for entry in timeline(round_)] == [
        "current",
        "ahead",
        "ahead",
        "ahead",
        "ahead",
        "ahead",
    ]


def test_reliability_points_lie_where_confidence_and_accuracy_say():
    report = {
        "calibration": [
            {"low": 0.5, "high": 0.55, "n": 0, "confidence": None, "accuracy": None},
            {"low": 0.7, "high": 0.8, "n": 10, "confidence": 0.75, "accuracy": 0.5},
            {"low": 0.9, "high": 1.0, "n": 40, "confidence": 1.0, "accuracy": 1.0},
        ]
    }
    middle, corner = reliability_points(report)
    assert (middle.x, middle.y) == (PLOT_SIZE / 2, PLOT_SIZE / 2)
    assert (corner.x, corner.y) == (PLOT_SIZE, 0)
    assert corner.radius > middle.radius


def test_the_timeline_of_a_cancelled_round_ends_where_it_was_given_up(annotating_round, max_):
    cancel_round(actor=max_, round_=annotating_round)
    annotating_round.refresh_from_db()
    assert [entry.status for entry in timeline(annotating_round)][:3] == ["done", "cancelled", "ahead"]


def test_agreement_stands_by_strength_with_the_pairs_that_have_none_apart():
    report = {
        "by_grade": {
            "0": {"accuracy": 0.5, "n": 4},
            "1": {"accuracy": None, "n": 0},
            "3": {"accuracy": 1.0, "n": 2},
        },
        "without_strength": {"accuracy": 0.75, "n": 8},
    }
    assert [(name, row["n"]) for name, row in accuracy_by_strength(report)] == [
        ("barely better / unsure", 4),
        ("much better", 2),
        ("no strength given", 8),
    ]
    assert accuracy_by_strength({}) == []


def test_a_share_of_pairs_comes_with_wilsons_interval():
    """The example of Newcombe (1998), table I: 81 of 263."""
    by_prompt = [(1.0, 1)] * 71 + [(0.5, 1)] * 20 + [(0.0, 1)] * 172
    result = HeadToHead(
        None, "old", "", wins=71, ties=20, losses=172, equal=0, on_trained_prompts=0, by_prompt=by_prompt
    )
    assert result.share == pytest.approx(100 * 81 / 263)
    assert result.share_interval == pytest.approx((25.53, 36.62), abs=0.005)


def test_several_judgments_of_a_prompt_are_no_independent_evidence():
    """Two people agree on four prompts: two of four won is drawn 0 to 4 times of four (Binomial(4, 1/2))."""
    result = HeadToHead(
        None, "old", "", wins=4, ties=0, losses=4, equal=0, on_trained_prompts=0,
        by_prompt=[(2.0, 2)] * 2 + [(0.0, 2)] * 2,
    )  # fmt: skip
    assert (result.share, result.share_interval) == (50.0, (0.0, 100.0))
