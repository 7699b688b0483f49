"""Tasks that check who judges: known answers, never twice, and tasks that come again in the opposite order."""

import pytest

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.judging.gold import make_known_tasks
from annotation.models import Batch, CurrentJudgment, GoldJudgment, Judgment, Task
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift
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
