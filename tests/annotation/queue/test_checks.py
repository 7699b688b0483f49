"""Tasks that check who judges: known answers, never twice, and tasks that come again in the opposite order."""

import pytest

from annotation.assigning.actions import set_batch_audience, set_member_work
from annotation.errors import InvalidTask
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.judging.gold import make_known_tasks
from annotation.models import Assignment, Batch, CurrentJudgment, GoldJudgment, Judgment, Task
from annotation.qualification.actions import (
    add_practice,
    change_training,
    create_training,
    let_through,
    require_training,
)
from annotation.queue.actions import claim_task, claim_with_content, save_draft
from annotation.queue.counters import find_counter_drift
from annotation.queue.opt_outs import set_content_warnings, set_opt_outs
from annotation.queue.positions import Kind
from annotation.queue.repeats import prepare_repeats
from workspace.project_settings import set_checks

pytestmark = [pytest.mark.db, pytest.mark.django_db]
A_BETTER = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])


@pytest.fixture
def judge(project, key):
    def judge(person, count=1, **given):
        done = []
        for _ in range(count):
            if (held := claim_task(actor=person, project=project, **given)) is None:
                break
            submit_judgment(actor=person, assignment=held, content=A_BETTER, idempotency_key=key())
            done.append(held.task)
        return done

    return judge


@pytest.fixture
def only(monkeypatch):
    def only(kind):
        monkeypatch.setattr("annotation.queue.search.kind_at", lambda *_: kind)

    return only


def test_gold_made_of_judged_tasks_is_right_by_what_was_judged(
    max_, ada, ruth, project, make_batch, judge, only
):
    make_batch(tasks=3, overlap=1)
    judge(ada, 3)
    judgments = list(Judgment.objects.order_by("pk"))
    assert make_known_tasks(actor=max_, project=project, judgments=judgments) == 3
    assert make_known_tasks(actor=max_, project=project, judgments=judgments) == 0
    gold = Batch.objects.get(name__startswith="Known answers: ")
    assert (gold.state, gold.tasks.count()) == ("open", 3)
    for task in gold.tasks.all():
        first = Judgment.objects.get(task=task.copy_of)
        known = GoldJudgment.objects.get(task=task)
        assert (known.tiers, known.strengths, known.author) == (first.tiers, first.strengths, max_)
        shown = [list(one.task_responses.values_list("response", "position")) for one in (task, task.copy_of)]
        assert shown[0] == shown[1]
    assert find_counter_drift(project) == []
    set_checks(actor=max_, project=project, gold_share=0.2)
    project.refresh_from_db()
    make_batch(tasks=5)
    only(Kind.GOLD)
    # Ada judged all three: she gets usual ones. Ruth gets each once.
    assert {task.purpose for task in judge(ada, 2)} == {"normal"}
    seen = judge(ruth, 6)
    assert [task.purpose for task in seen] == ["gold"] * 3 + ["normal"] * 3
    assert len({task.copy_of_id for task in seen[:3]}) == 3


def test_a_copy_waits_until_its_own_task_is_handed_out_no_more(
    max_, ada, ruth, project, make_batch, judge, only
):
    make_batch(tasks=2, overlap=2)
    judge(ada, 1)
    make_known_tasks(actor=max_, project=project, judgments=list(Judgment.objects.all()))
    only(Kind.GOLD)
    first, second = judge(ruth, 2)
    assert {first.purpose, second.purpose} == {"normal"}
    assert first.pk != second.pk


def test_gold_comes_only_among_open_work_of_its_kind(max_, ada, project, make_batch, judge, only):
    make_batch(tasks=1, responses_per_task=4)
    make_batch(tasks=3, task_fields=lambda n: {"purpose": "gold"})
    only(Kind.GOLD)
    assert claim_task(actor=ada, project=project).task.purpose == "normal"


def test_a_repeat_is_an_own_task_in_the_opposite_order_after_others(
    max_, ada, project, make_batch, judge, only
):
    batch = make_batch(tasks=12)
    set_checks(actor=max_, project=project, repeat_share=0.05, repeat_after=4)
    project.refresh_from_db()
    judged = judge(ada, 4)
    assert prepare_repeats(project) == 0  # four others have to lie between
    judged += judge(ada, 2)
    assert prepare_repeats(project) == 2
    assert prepare_repeats(project) == 0
    only(Kind.USUAL)
    judged += judge(ada, 1)
    only(Kind.REPEAT)
    held = claim_task(actor=ada, project=project)
    again = held.task
    assert (again.purpose, again.required_judgments, again.reserved_for) == ("repeat", 0, ada)
    assert again.copy_of in judged[:2]
    first = CurrentJudgment.objects.get(task=again.copy_of, annotator=ada).judgment
    assert held.order_shown == first.order_shown[::-1]
    assert batch.tasks.counted().count() == 12
    assert find_counter_drift(project) == []


def test_nobody_gets_the_repeat_of_another_and_no_task_comes_a_third_time(
    max_, ada, ruth, project, make_batch, judge, only, key
):
    make_batch(tasks=8, overlap=2)
    set_checks(actor=max_, project=project, repeat_share=0.2, repeat_after=1)
    project.refresh_from_db()
    judge(ada, 4)
    for _ in range(3):
        prepare_repeats(project)
    only(Kind.REPEAT)
    assert {task.purpose for task in judge(ruth, 1)} == {"normal"}
    repeats = judge(ada, 3)
    assert [task.purpose for task in repeats] == ["repeat"] * 3
    prepare_repeats(project)
    copies = list(Task.objects.filter(reserved_for=ada).values_list("copy_of", flat=True))
    assert len(copies) == len(set(copies))


def test_a_share_out_of_bounds_is_refused_with_a_sentence(max_, project):
    from workspace.errors import ActionError

    with pytest.raises(ActionError, match="0 to 0.5") as refused:
        set_checks(actor=max_, project=project, gold_share=0.6, repeat_after=0)
    assert set(refused.value.fields) == {"gold_share", "repeat_after"}


@pytest.fixture
def copied(max_, ada, project, make_batch, judge, only):
    """The batch of a task that has a gold copy which alone is due; others lie around it."""
    source = make_batch(tasks=1, overlap=1, name="source")
    judge(ada)
    make_known_tasks(actor=max_, project=project, judgments=list(Judgment.objects.all()))
    make_batch(tasks=4, name="others")
    only(Kind.GOLD)
    return source


def test_a_gold_copy_warns_as_its_original_and_goes_to_nobody_who_opted_out(copied, max_, ruth, project):
    set_content_warnings(actor=max_, batch=copied, names=["violence"])
    claimed = claim_with_content(actor=ruth, project=project)
    assert (claimed.content.purpose, list(claimed.content.content_warnings)) == ("gold", ["violence"])
    save_draft(actor=ruth, assignment=claimed.assignment, draft={"value": 1}, characters=10)
    # It is given back as others are, and its draft does not bring it again.
    set_opt_outs(actor=ruth, project=project, names=["violence"])
    assert Assignment.objects.get(pk=claimed.assignment.pk).state == "expired"
    assert claim_task(actor=ruth, project=project).task.purpose == "normal"
    set_opt_outs(actor=ruth, project=project, names=[])
    held = ruth.assignments.get(state="leased")
    assert claim_task(actor=ruth, project=project, after=held) == claimed.assignment


def test_what_is_held_of_an_original_that_is_not_wanted_any_more_is_not_offered_again(
    copied, max_, ruth, project
):
    set_content_warnings(actor=max_, batch=copied, names=["cruelty"])
    set_opt_outs(actor=ruth, project=project, names=["cruelty"])
    set_content_warnings(actor=max_, batch=copied, names=[])
    assert claim_task(actor=ruth, project=project).task.purpose == "gold"
    set_content_warnings(actor=max_, batch=copied, names=["cruelty"])
    assert claim_task(actor=ruth, project=project).task.purpose == "normal"


def test_a_gold_copy_goes_to_those_alone_who_its_original_is_for(copied, max_, ada, ruth, project):
    def give_german(person):
        membership = project.memberships.get(user=person)
        set_member_work(actor=max_, project=project, membership=membership, skills=["german"])

    give_german(ada)
    set_batch_audience(actor=max_, batch=copied, skills=["german"])
    held = claim_task(actor=ruth, project=project)
    assert held.task.purpose == "normal"
    give_german(ruth)
    assert claim_task(actor=ruth, project=project, after=held).task.copy_of.batch == copied


@pytest.fixture
def required(copied, max_, project, criterion):
    """A training that the original's batch alone asks for, its practice made of that batch."""
    training = create_training(
        actor=max_,
        project=project,
        name="Basics",
        criterion=criterion,
        items=1,
        needed=1,
        for_everybody=False,
    )
    assert add_practice(actor=max_, training=training, judgments=list(Judgment.objects.all())) == 1
    change_training(actor=max_, training=training, is_on=True)
    require_training(actor=max_, batch=copied, training=training)
    return training


def test_a_gold_copy_asks_for_the_training_of_its_original(copied, required, max_, ruth, project):
    # Without its practice, which she would know the gold copy by.
    GoldJudgment.objects.filter(task__purpose="practice").delete()
    held = claim_task(actor=ruth, project=project)
    assert held.task.purpose == "normal"
    let_through(actor=max_, training=required, annotator=ruth)
    assert claim_task(actor=ruth, project=project, after=held).task.purpose == "gold"


def test_practice_goes_to_who_has_yet_to_pass_what_its_original_asks_for(
    copied, required, max_, ada, ruth, project
):
    membership = project.memberships.get(user=ada)
    set_member_work(actor=max_, project=project, membership=membership, skills=["german"])
    set_batch_audience(actor=max_, batch=copied, skills=["german"])
    practice = claim_task(actor=ruth, project=project)
    assert practice.task.purpose == "practice"
    assert claim_task(actor=ruth, project=project) == practice
    save_draft(actor=ruth, assignment=practice, draft={"value": 1}, characters=10)
    Assignment.objects.filter(pk=practice.pk).update(state="expired")
    assert claim_task(actor=ruth, project=project) == practice


def test_no_practice_is_made_of_a_batch_with_content_warnings(copied, max_, ruth, project, criterion):
    training = create_training(
        actor=max_, project=project, name="Basics", criterion=criterion, items=1, needed=1
    )
    set_content_warnings(actor=max_, batch=copied, names=["violence"])
    judgments = list(Judgment.objects.all())
    with pytest.raises(InvalidTask, match="source warns of violence"):
        add_practice(actor=max_, training=training, judgments=judgments)
    assert not Task.objects.filter(purpose="practice").exists()
    # One that came to warn later is shown with the warning, and not to who opted out.
    set_content_warnings(actor=max_, batch=copied, names=[])
    add_practice(actor=max_, training=training, judgments=list(Judgment.objects.all()))
    change_training(actor=max_, training=training, is_on=True)
    set_content_warnings(actor=max_, batch=copied, names=["violence"])
    claimed = claim_with_content(actor=ruth, project=project)
    assert (claimed.content.purpose, list(claimed.content.content_warnings)) == ("practice", ["violence"])
    set_opt_outs(actor=ruth, project=project, names=["violence"])
    assert claim_task(actor=ruth, project=project) is None
