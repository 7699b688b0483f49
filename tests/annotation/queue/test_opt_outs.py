"""Content warnings: who does not want to see something is not offered it, whatever else there is, and counts say so."""

import pytest
from django.urls import reverse

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.errors import InvalidBatch, NotAMember
from annotation.models import Assignment
from annotation.preferences.content_warnings import clean_warnings, join_warnings, split_warnings
from annotation.queue.actions import claim_task, claim_with_content, save_draft
from annotation.queue.counters import find_counter_drift
from annotation.queue.opt_outs import own_opt_outs, set_content_warnings, set_opt_outs
from annotation.queue.search import read_annotator_counts
from workspace.errors import StaleVersion
from workspace.members import remove_member

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def warned(make_batch, max_):
    """A batch of two tasks that warns of two things; the most urgent one."""
    batch = make_batch(tasks=2, name="warned", priority=5)
    return set_content_warnings(actor=max_, batch=batch, names=["Violence", "self-harm", "violence "])


def test_names_are_kept_as_the_queue_compares_them():
    assert clean_warnings(["Self harm", "violence", " violence", ""]) == ["self-harm", "violence"]
    assert join_warnings(["violence", "self-harm"]) == "|self-harm|violence|"
    assert split_warnings("|self-harm|violence|") == ["self-harm", "violence"]
    assert (join_warnings([]), split_warnings(None)) == (None, [])
    for odd in ("a|b", "100%", "a_b", "x" * 31, "é"):
        with pytest.raises(InvalidBatch):
            clean_warnings([odd])


def test_who_opted_out_is_never_offered_it_and_counts_leave_it_out(warned, make_batch, ada, ruth, project):
    make_batch(tasks=1, name="other")
    assert set_opt_outs(actor=ada, project=project, names=["violence"]) == ["violence"]
    assert read_annotator_counts(ada, project).remaining == 1
    assert claim_task(actor=ada, project=project).task.batch.name == "other"
    assert claim_task(actor=ada, project=project, after=ada.assignments.get()) is None
    assert claim_task(actor=ada, project=project, batch=warned, after=ada.assignments.get()) is None
    # Somebody else is offered it, and so is she when she has changed her mind.
    assert claim_task(actor=ruth, project=project).task.batch == warned
    set_opt_outs(actor=ada, project=project, names=[])
    assert claim_task(actor=ada, project=project, after=ada.assignments.get()).task.batch == warned


def test_a_part_of_a_name_is_no_name(warned, ada, project, make_batch, max_):
    set_content_warnings(actor=max_, batch=make_batch(tasks=1, name="part"), names=["harm"])
    set_opt_outs(actor=ada, project=project, names=["harm"])
    assert claim_task(actor=ada, project=project).task.batch == warned


def test_what_is_reserved_or_half_done_is_not_offered_either(ada, project, make_batch, max_):
    batch = make_batch(tasks=1, task_fields=lambda number: {"reserved_for": ada})
    set_content_warnings(actor=max_, batch=batch, names=["violence"])
    held = claim_task(actor=ada, project=project)
    save_draft(actor=ada, assignment=held, draft={"value": 1}, characters=10)
    set_opt_outs(actor=ada, project=project, names=["violence"])
    assert claim_task(actor=ada, project=project) is None
    assert Assignment.objects.get(pk=held.pk).state == Assignment.State.EXPIRED
    assert claim_task(actor=ada, project=project) is None


def test_the_warning_is_on_the_task_and_the_opt_out_on_the_first_page(client, warned, ada, project):
    claimed = claim_with_content(actor=ada, project=project)
    assert list(claimed.content.content_warnings) == ["self-harm", "violence"]
    client.force_login(ada)
    address = reverse("annotation:next_task", args=[project.slug])
    html = client.post(address, {}, content_type="application/json").json()["html"]
    assert "Content warning: self-harm, violence." in html
    overview = reverse("annotation:overview", args=[project.slug])
    assert 'id="opt-out-self-harm"' in client.get(overview).content.decode()
    done = client.post(reverse("annotation:opt_outs", args=[project.slug]), {"names": ["self-harm"]})
    assert done.status_code == 302 and own_opt_outs(ada, project) == ["self-harm"]
    assert 'value="self-harm" id="opt-out-self-harm" checked' in client.get(overview).content.decode()


def test_only_what_batches_warn_of_and_only_members(warned, ada, max_, project):
    with pytest.raises(InvalidBatch, match="No batch of the project warns of spiders"):
        set_opt_outs(actor=ada, project=project, names=["spiders"])
    remove_member(actor=max_, project=project, user=ada)
    with pytest.raises(NotAMember):
        set_opt_outs(actor=ada, project=project, names=["violence"])


def test_prompts_bring_their_warnings_into_the_batch(project, criterion, max_):
    batch = create_batch(
        actor=max_, project=project, criterion=criterion, name="tagged", responses_per_task=2
    )
    of = {"actor": max_, "project": project}
    rows = [
        {"messages": [{"role": "user", "content": f"Q{n}?"}], "tags": tags}
        for n, tags in enumerate([["warning:Violence", "medical"], ["warning:not a name!"], []])
    ]
    prompts = add_prompts(**of, rows=rows)
    source = get_or_create_source(**of, kind="import", name="x")
    made = add_responses(
        **of, rows=[NewResponse(prompt=p, source=source, text=t) for p in prompts for t in ("a", "b")]
    )
    tasks = [NewTask(prompt=p, responses=made[2 * n : 2 * n + 2]) for n, p in enumerate(prompts)]
    add_tasks(actor=max_, batch=batch, tasks=tasks)
    batch = open_batch(actor=max_, batch=batch)
    batch.refresh_from_db()
    assert split_warnings(batch.content_warnings) == ["violence"]


def test_of_two_managers_the_slower_one_is_told(client, warned, max_, project):
    with pytest.raises(StaleVersion, match="self-harm, violence"):
        set_content_warnings(actor=max_, batch=warned, names=["medical"], expected=[])
    client.force_login(max_)
    address = reverse("annotation:set_warnings", args=[project.slug, warned.pk])
    client.post(address, {"names": "medical, violence", "expected": "|self-harm|violence|"})
    warned.refresh_from_db()
    assert split_warnings(warned.content_warnings) == ["medical", "violence"]


def test_a_warning_that_comes_later_takes_the_tasks_from_who_does_not_want_to_see_it(
    warned, ada, ruth, max_, project, make_batch
):
    other = make_batch(tasks=2, name="other", priority=9)
    set_opt_outs(actor=ada, project=project, names=["violence"])
    held, hers = [claim_task(actor=person, project=project) for person in (ada, ruth)]
    assert held.task.batch == hers.task.batch == other
    # Of something else, and then of that: hers alone, and ruth's stays.
    for names, state in ((["medical"], "leased"), (["medical", "violence"], "expired")):
        set_content_warnings(actor=max_, batch=other, names=names)
        held.refresh_from_db()
        assert held.state == state
    hers.refresh_from_db()
    assert hers.state == "leased" and find_counter_drift(project) == []
    told = project.audit_events.filter(action="batch.set_warnings").latest("pk")
    assert told.details["released"] == 1
