from datetime import timedelta

import pytest

from annotation.batches.actions import close_batch, set_priorities
from annotation.errors import (
    AlreadySubmitted,
    BatchNotOpen,
    DraftTooLarge,
    NoSlotLeft,
    NotAMember,
    NotYourTask,
)
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Assignment, Batch, Task
from annotation.queue.actions import (
    claim_task,
    save_draft,
    skip_task,
    sweep_expired_leases,
    undo_skip,
)
from annotation.queue.counters import find_counter_drift
from annotation.queue.search import read_annotator_counts
from workspace.database import database_now

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def claim(actor, project, **how):
    return claim_task(actor=actor, project=project, **how)


def submit(assignment, key, tiers=None, strengths=None):
    return submit_judgment(
        actor=assignment.annotator,
        assignment=assignment,
        content=JudgmentInput(
            tiers=tiers or [["A"], ["B"]], strengths=[2] if strengths is None else strengths
        ),
        idempotency_key=key,
    )


def let_the_lease_end(assignment):
    Assignment.objects.filter(pk=assignment.pk).update(leased_until=database_now() - timedelta(minutes=1))


def test_a_claim_takes_one_slot_and_stores_a_seeded_order(ada, project, make_batch):
    make_batch(tasks=1)
    assignment = claim(ada, project)
    task = Task.objects.get()
    assert (task.open_slots, task.counted_judgments) == (0, 0)
    keys = list(task.task_responses.values_list("response_id", flat=True))
    assert sorted(assignment.order_shown) == sorted(keys)
    from annotation.preferences.scale import shuffle_responses

    assert assignment.order_shown == shuffle_responses(keys, assignment.shuffle_seed)


def test_the_order_shown_differs_between_annotators(project, make_batch, make_annotators):
    make_batch(tasks=1, overlap=40)
    orders = [tuple(claim(person, project).order_shown) for person in make_annotators(40)]
    first = sum(order == orders[0] for order in orders)
    # 40 fair coins: fewer than 6 or more than 34 heads happens once in 10^6.
    assert 6 <= first <= 34


def test_the_own_live_lease_comes_first(ada, project, make_batch):
    make_batch(tasks=3)
    first = claim(ada, project)
    assert claim(ada, project).pk == first.pk
    assert Assignment.objects.count() == 1


def test_after_gives_the_task_behind_the_one_on_screen(ada, project, make_batch, key):
    make_batch(tasks=3)
    first = claim(ada, project)
    second = claim(ada, project, after=first)
    assert second.pk != first.pk
    assert claim(ada, project, after=first).pk == second.pk
    submit(first, key())
    assert claim(ada, project).pk == second.pk


def test_nobody_gets_a_task_twice(ada, project, make_batch, key):
    make_batch(tasks=3, overlap=2)
    seen = []
    while assignment := claim(ada, project):
        seen.append(assignment.task_id)
        submit(assignment, key())
    assert sorted(seen) == sorted(Task.objects.values_list("pk", flat=True))


def test_overlap_bounds_how_many_people_hold_a_task(project, make_batch, make_annotators):
    make_batch(tasks=1, overlap=2)
    got = [claim(person, project) for person in make_annotators(3)]
    assert [assignment is not None for assignment in got] == [True, True, False]


def test_an_ended_lease_gives_the_slot_to_the_next_person(ada, ruth, project, make_batch):
    make_batch(tasks=1)
    held = claim(ada, project)
    assert claim(ruth, project) is None
    let_the_lease_end(held)
    assert claim(ruth, project).task_id == held.task_id
    held.refresh_from_db()
    assert held.state == Assignment.State.EXPIRED
    assert find_counter_drift(project) == []


def test_the_sweep_spares_a_lease_that_is_alive(ada, project, make_batch):
    make_batch(tasks=1)
    claim(ada, project)
    assert sweep_expired_leases() == 0


def test_what_a_deactivated_person_held_goes_to_the_next_at_once(ada, ruth, project, make_batch):
    make_batch(tasks=1)
    held = claim(ada, project)
    type(ada).objects.filter(pk=ada.pk).update(is_active=False)
    assert claim(ruth, project).task_id == held.task_id
    held.refresh_from_db()
    assert held.state == Assignment.State.EXPIRED
    assert find_counter_drift(project) == []


def test_a_task_comes_back_with_its_draft_and_order_after_the_lease_ended(ada, project, make_batch):
    make_batch(tasks=5)
    held = claim(ada, project)
    save_draft(actor=ada, assignment=held, draft={"rationale": "half a thought"}, characters=30)
    let_the_lease_end(held)
    sweep_expired_leases()
    again = claim(ada, project)
    assert again.pk == held.pk
    assert again.draft == {"rationale": "half a thought"}
    assert again.order_shown == held.order_shown


def test_a_slot_that_opens_behind_the_cursor_is_found(ada, ruth, project, make_batch, key):
    make_batch(tasks=3)
    first = claim(ada, project)
    skip_task(actor=ada, assignment=first)
    for _ in range(2):
        submit(claim(ada, project), key())
    assert claim(ada, project) is None
    theirs = claim(ruth, project)
    assert theirs.task_id == first.task_id


def test_urgent_tasks_come_first_and_new_priorities_count_at_once(ada, project, make_batch, key, max_):
    batch = make_batch(tasks=4)
    first = claim(ada, project)
    submit(first, key())
    last = Task.objects.order_by("pk").last()
    set_priorities(actor=max_, batch=batch, priorities={last.pk: 10})
    assert claim(ada, project).task_id == last.pk


def test_the_more_urgent_batch_comes_first(ada, project, make_batch):
    make_batch(tasks=1, name="Later")
    urgent = make_batch(tasks=1, name="Now", priority=5)
    assert claim(ada, project).task.batch == urgent


def test_closed_draft_and_invisible_batches_hand_out_nothing(ada, project, make_batch, max_):
    close_batch(actor=max_, batch=make_batch(name="Closed"))
    make_batch(name="Draft", opened=False)
    make_batch(name="Invisible", visible=False)
    assert Batch.objects.count() == 3
    assert claim(ada, project) is None


def test_a_reserved_task_goes_to_its_person_first_and_to_nobody_else(ada, ruth, project, make_batch):
    make_batch(tasks=1, name="For all", priority=9)
    mine = make_batch(tasks=1, name="Mine", task_fields=lambda n: {"reserved_for": ada})
    assert claim(ruth, project).task.batch.name == "For all"
    assert claim(ada, project).task.batch == mine
    assert claim(ruth, project, batch=mine) is None


def test_gold_tasks_come_at_the_projects_share_and_take_no_slots(ada, project, make_batch, key):
    make_batch(tasks=70, name="Normal")
    gold = make_batch(tasks=80, name="Gold", task_fields=lambda n: {"purpose": "gold"})
    project.gold_share = 0.4
    project.save()
    purposes, left = [], []
    while assignment := claim(ada, project):
        purposes.append(assignment.task.purpose)
        left.append(read_annotator_counts(ada, project).remaining)
        submit(assignment, key())
    assert set(gold.tasks.values_list("open_slots", "counted_judgments", "required_judgments")) == {(0, 0, 0)}
    assert (purposes[:100].count("gold"), purposes.count("normal")) == (40, 70)
    # The count on the page falls by one with each task, whatever it is, and nothing comes after the last usual one.
    assert left == list(range(len(left), 0, -1))
    assert purposes[-1] == "normal"


def test_a_skipped_task_gives_its_slot_back_and_does_not_return(ada, project, make_batch):
    make_batch(tasks=1)
    assignment = claim(ada, project)
    skip_task(actor=ada, assignment=assignment, reason="Not my language")
    skip_task(actor=ada, assignment=assignment)
    assert claim(ada, project) is None
    assert Task.objects.get().open_slots == 1
    assignment.refresh_from_db()
    assert assignment.skip_reason == "Not my language"


def test_a_draft_renews_the_lease_and_has_a_limit(ada, project, make_batch):
    make_batch(tasks=1)
    assignment = claim(ada, project)
    let_the_lease_end(assignment)
    assert save_draft(actor=ada, assignment=assignment, draft={"tiers": [["A", "B"]]}, characters=20)
    assignment.refresh_from_db()
    assert assignment.leased_until > database_now()
    with pytest.raises(DraftTooLarge):
        save_draft(actor=ada, assignment=assignment, draft={}, characters=100_001)


def test_only_the_annotator_of_an_assignment_touches_it(ada, ruth, project, make_batch):
    make_batch(tasks=1)
    assignment = claim(ada, project)
    with pytest.raises(NotYourTask):
        skip_task(actor=ruth, assignment=assignment)
    with pytest.raises(NotYourTask):
        save_draft(actor=ruth, assignment=assignment, draft={}, characters=2)


def test_an_outsider_claims_nothing(olga, project, make_batch):
    make_batch(tasks=1)
    with pytest.raises(NotAMember):
        claim(olga, project)


def test_the_assignment_keeps_the_versions_that_were_shown(ada, max_, project, make_batch):
    from workspace.actions import change_question_settings, publish_guideline

    make_batch(tasks=1)
    publish_guideline(actor=max_, project=project, text="Two")
    change_question_settings(actor=max_, project=project, allow_ties=False, ask_rationale=False)
    assignment = claim(ada, project)
    assert (assignment.settings_version, assignment.guideline_version) == (2, 2)


def test_a_skipped_task_is_taken_back_while_a_slot_is_open(ada, max_, project, make_batch, key):
    make_batch(tasks=2)
    assignment = claim(ada, project)
    skip_task(actor=ada, assignment=assignment, reason="By mistake")
    from workspace.actions import publish_guideline

    publish_guideline(actor=max_, project=project, text="Rewritten meanwhile.")
    for _ in range(2):  # twice changes nothing
        back = undo_skip(actor=ada, assignment=assignment)
        assert back.state == Assignment.State.LEASED
        assert back.leased_until > database_now()
        assert back.guideline_version == 2
        assert back.skip_reason == ""
        assert Task.objects.get(pk=back.task_id).open_slots == 0
        assert find_counter_drift(project) == []
    assert list(project.audit_events.filter(actor=ada).values_list("action", flat=True).order_by("pk")) == [
        "task.skip",
        "task.undo_skip",
    ]
    assert submit(back, key()).surplus is False
    assert find_counter_drift(project) == []
    with pytest.raises(AlreadySubmitted):
        undo_skip(actor=ada, assignment=assignment)


def test_a_skipped_task_does_not_come_back_once_somebody_else_has_it(
    ada, ruth, max_, project, make_batch, key
):
    batch = make_batch(tasks=1)
    assignment = claim(ada, project)
    skip_task(actor=ada, assignment=assignment)
    theirs = claim(ruth, project)
    for judged in (False, True):
        if judged:
            submit(theirs, key())
        with pytest.raises(NoSlotLeft):
            undo_skip(actor=ada, assignment=assignment)
        assert Assignment.objects.get(pk=assignment.pk).state == Assignment.State.SKIPPED
        assert find_counter_drift(project) == []
    with pytest.raises(NotYourTask):
        undo_skip(actor=ruth, assignment=assignment)
    close_batch(actor=max_, batch=batch)
    with pytest.raises(BatchNotOpen):
        undo_skip(actor=ada, assignment=assignment)
    project.memberships.filter(user=ada).delete()
    with pytest.raises(NotAMember):
        undo_skip(actor=ada, assignment=assignment)


def test_a_skipped_gold_task_comes_back_without_a_slot(ada, project, make_batch, key):
    make_batch(tasks=40)
    make_batch(tasks=1, task_fields=lambda number: {"purpose": "gold"})
    type(project).objects.filter(pk=project.pk).update(gold_share=0.5)
    project.refresh_from_db()
    while (assignment := claim(ada, project)).task.purpose != "gold":
        submit(assignment, key())
    skip_task(actor=ada, assignment=assignment)
    assert undo_skip(actor=ada, assignment=assignment).state == Assignment.State.LEASED
    assert find_counter_drift(project) == []
