import pytest
from django.utils import timezone

from annotation.batches.actions import create_batch
from annotation.content.actions import (
    NewDemonstration,
    add_demonstrations,
    add_prompts,
    get_or_create_prompt_set,
)
from annotation.models import Batch
from rounds.actions import cancel_round, end_annotation
from rounds.errors import RoundRefused, WrongStage
from rounds.models import Round, Stage
from rounds.named_rows import require_named_rows
from rounds.plan_changes import override_plan, with_steps
from rounds.plans import load_plan, plan_to_dict, preset_plan, with_assignments
from rounds.stages.machine import advance_round
from rounds.stages.transitions import stage_runs
from rounds.step_runs import describe_mixed_in
from rounds.steps import step_from_words
from runs.models import Run
from runs.states import RunState
from tests.rounds.annotating import at_annotation, judge_elsewhere
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_a_round_without_prompts_is_refused_with_what_to_do(begin, project, max_):
    empty = get_or_create_prompt_set(actor=max_, project=project, name="none", purpose="policy")
    with pytest.raises(RoundRefused, match="import_prompts"):
        begin(prompt_set=empty)
    assert not Round.objects.exists()


def test_one_round_at_a_time(begin):
    begin()
    with pytest.raises(RoundRefused) as caught:
        begin()
    assert caught.value.code == "round_open"
    assert Round.objects.count() == 1


def test_another_policy_that_is_not_there_is_refused(begin):
    plan = override_plan(preset_plan("tiny"), sampling={"other_policies": ("nobody",)})
    with pytest.raises(RoundRefused, match="nobody"):
        begin(plan=plan)


def test_one_model_of_a_server_does_not_answer_for_two_policies(project, policy):
    plan = with_assignments(
        override_plan(preset_plan("tiny"), sampling={"other_policies": (policy.name,)}),
        ["sampling.options.server.name=toy", "sampling.options.server.model=m"],
    )
    with pytest.raises(RoundRefused, match="model is 'm', and 2 policies answer"):
        require_named_rows(project, plan)


def test_a_button_is_on_record_under_the_name_of_whoever_pressed_it(
    begin, project, criterion, max_, ruth, ada
):
    round_ = begin()
    at_annotation(round_, criterion, max_)
    judge_elsewhere(round_, criterion, max_, ada)
    before = AuditEvent.objects.count()
    end_annotation(actor=ruth, round_=round_)
    new = AuditEvent.objects.order_by("pk")[before:]
    assert [(event.action, event.actor) for event in new] == [
        ("batch.close", ruth),
        ("round.end_annotation", ruth),
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"purpose": "evaluation", "split": "train"}, "held_out_prompts"),
        ({"purpose": "policy", "split": "validation"}, "no_prompts"),
    ],
)
def test_prompts_that_no_policy_may_be_trained_on_are_refused_at_the_start(
    begin, project, max_, changes, code
):
    prompt_set = get_or_create_prompt_set(
        actor=max_, project=project, name="kept", purpose=changes["purpose"]
    )
    rows = [{"messages": [{"role": "user", "content": f"Kept {n}?"}]} for n in range(300)]
    add_prompts(actor=max_, project=project, rows=rows, prompt_set=prompt_set)
    prompt_set.members.exclude(prompt__split=changes["split"]).delete()
    assert prompt_set.prompts.exists()
    with pytest.raises(RoundRefused) as caught:
        begin(prompt_set=prompt_set)
    assert caught.value.code == code
    assert not Round.objects.exists()


def test_a_plan_that_needs_demonstrations_is_refused_without_them(begin):
    mapping = plan_to_dict(preset_plan("tiny"))
    mapping["policy"]["algorithm"]["ptx_coefficient"] = 1.0
    with pytest.raises(RoundRefused, match="import_demonstrations"):
        begin(plan=load_plan(mapping))


def test_a_plan_with_texts_falls_back_to_demonstrations_and_the_rounds_page_says_so(
    begin, project, max_, client
):
    mapping = plan_to_dict(preset_plan("tiny"))
    mapping["policy"]["algorithm"] |= {"ptx_coefficient": 2.0, "ptx_texts_share": 1.0}
    prompts = list(project.prompts.filter(split="train"))
    add_demonstrations(
        actor=max_, project=project, rows=[NewDemonstration(prompt=prompt, text="Yes.") for prompt in prompts]
    )
    round_ = begin(plan=load_plan(mapping))
    assert load_plan(round_.plan).policy.algorithm.ptx_texts_share == 0.0
    client.force_login(max_)
    page = client.get(f"/projects/{project.slug}/rounds/{round_.number}/")
    assert "PPO mixes in demonstrations, no pretraining text (ptx, coefficient 2)." in page.content.decode()


def test_so_does_a_step_of_policy_gradients(begin, project, max_):
    plan = preset_plan("tiny")
    words = ["policy_gradient:rloo", "algorithm.ptx_coefficient=2", "algorithm.ptx_texts_share=1"]
    plan = with_steps(plan, [step_from_words(words, policy=plan.policy)])
    with pytest.raises(RoundRefused, match="import_demonstrations"):
        begin(plan=plan)
    prompts = list(project.prompts.filter(split="train"))
    add_demonstrations(
        actor=max_, project=project, rows=[NewDemonstration(prompt=prompt, text="Yes.") for prompt in prompts]
    )
    stored = load_plan(begin(plan=plan).plan)
    assert stored.steps[0].policy_gradient.algorithm.ptx_texts_share == 0.0
    assert (
        describe_mixed_in(stored)
        == "Policy gradient mixes in demonstrations, no pretraining text (ptx, coefficient 2)."
    )


def test_a_run_that_ends_while_its_round_is_cancelled_does_not_keep_it_from_it(begin, max_, monkeypatch):
    round_ = begin()
    advance_round(round_.pk)
    seen = stage_runs(round_)
    Run.objects.update(state=RunState.DONE, finished_at=timezone.now())
    monkeypatch.setattr("rounds.actions.stage_runs", lambda round_: seen)  # read before the run ended
    cancel_round(actor=max_, round_=round_)
    round_.refresh_from_db()
    assert (round_.stage, Run.objects.get().state) == (Stage.CANCELLED, RunState.DONE)


def test_a_managers_button_ends_annotation_once_and_not_before_there_are_judgments(
    begin, criterion, max_, ada
):
    round_ = begin()
    with pytest.raises(WrongStage):
        end_annotation(actor=max_, round_=round_)
    batch = at_annotation(round_, criterion, max_)
    with pytest.raises(RoundRefused, match="0 usable comparisons"):
        end_annotation(actor=max_, round_=round_)
    batch.refresh_from_db()
    assert batch.state == Batch.State.OPEN
    judge_elsewhere(round_, criterion, max_, ada)
    end_annotation(actor=max_, round_=round_)
    with pytest.raises(WrongStage):
        end_annotation(actor=max_, round_=round_)


def test_cancelling_a_round_closes_the_batches_kept_for_people_too(begin, criterion, max_):
    round_ = begin()
    at_annotation(round_, criterion, max_)
    kept = create_batch(
        actor=max_, project=round_.project, criterion=criterion, name="Round 1, kept for ada", round_number=1
    )
    cancel_round(actor=max_, round_=round_)
    kept.refresh_from_db()
    assert kept.state == Batch.State.CLOSED


def test_tasks_cannot_be_kept_for_a_stranger(begin, olga):
    plan = override_plan(
        preset_plan("tiny"), annotation={"reserved_for": ("olga",), "reserved_tasks_per_person": 3}
    )
    with pytest.raises(RoundRefused, match="olga"):
        begin(plan=plan)


def test_a_cancelled_round_stops_its_runs_and_makes_room_for_the_next(begin, max_):
    round_ = begin()
    advance_round(round_.pk)
    cancel_round(actor=max_, round_=round_)
    assert Run.objects.get().state == RunState.CANCELLED
    assert not advance_round(round_.pk)
    assert begin().number == 2


def test_the_start_of_a_cancelled_round_is_nobodys_opponent(begin, make_policy, max_):
    """A stranger's round was given up; the next one is held against its own policy's parent."""
    stranger, parent = make_policy("stranger"), make_policy("parent")
    child = make_policy("child", parent=parent)
    cancel_round(actor=max_, round_=begin(start_policy=stranger))
    assert begin(start_policy=child).comparison_policy == parent


def test_the_start_of_the_last_round_carried_through_is_the_opponent(begin, make_policy, finish_round, max_):
    first, second, stranger = make_policy("first"), make_policy("second"), make_policy("stranger")
    finish_round(begin(start_policy=first))
    cancel_round(actor=max_, round_=begin(start_policy=stranger))
    assert begin(start_policy=second).comparison_policy == first
