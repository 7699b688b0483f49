"""A batch of answers that are there: which tasks come of which answers, by action, page, command and API alike."""

import contextlib
import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import call_command
from django.db import connection
from django.urls import reverse

from annotation.assigning.actions import batch_audience
from annotation.content.actions import (
    NewResponse,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.errors import InvalidBatch
from annotation.making import actions, finding
from annotation.making.actions import make_batch_from_answers
from annotation.making.finding import Answers, Found, count_tasks, find_tasks, prompt_pages
from annotation.models import Batch
from annotation.review import from_answers as review_page
from tests.annotation.making.conftest import shown

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def look(answers, criterion):
    """Texts of the tasks, and what was counted."""
    found = Found()
    keys = [task for page in prompt_pages(answers) for task in find_tasks(answers, criterion, page, found)]
    texts = {response.pk: response.text for response in answers.project.responses.all()}
    tasks = [[texts[key] for key in chosen] for _, chosen in keys]
    assert (found.tasks, found.answers) == (len(tasks), sum(map(len, tasks)))
    return tasks, found


def test_different_answers_of_different_sources_come_first(answered, project, criterion):
    tasks, found = look(Answers(project=project, prompt_set=answered), criterion)
    assert tasks == [["a1", "b1"], ["a1", "b1"], ["b1", "b2"]]
    assert (found.too_few, found.asked) == (2, 0)
    tasks, found = look(Answers(project=project, prompt_set=answered, most=4), criterion)
    assert found.largest == 4 and tasks[0] == ["a1", "b1", "c1", "a2"]
    only_a = [project.sources.get(name="a")]
    tasks, found = look(Answers(project=project, prompt_set=answered, sources=only_a), criterion)
    assert tasks == [["a1", "a2"]] and found.too_few == 4
    tasks, found = look(Answers(project=project, prompt_set=answered, prompts=1), criterion)
    assert len(tasks) == 1 and found.too_few == 0


def test_what_a_batch_asks_already_is_left_out_unless_wanted(answered, project, criterion, max_):
    first = make_batch_from_answers(
        actor=max_,
        answers=Answers(project=project, prompt_set=answered, prompts=2),
        criterion=criterion,
        name="first",
    )
    assert (first.state, first.kind, shown(first)) == ("draft", "pairwise", [["a1", "b1"]] * 2)
    tasks, found = look(Answers(project=project, prompt_set=answered), criterion)
    assert (tasks, found.asked) == ([["b1", "b2"]], 2)
    found = count_tasks(Answers(project=project, prompt_set=answered, skip_asked=False), criterion)
    assert found.tasks == 3
    with pytest.raises(InvalidBatch, match="nothing to compare: 0 prompts have .* 2 are in a batch"):
        make_batch_from_answers(
            actor=max_,
            answers=Answers(project=project, prompt_set=answered, prompts=2),
            criterion=criterion,
            name="second",
        )
    assert Batch.objects.count() == 1


@pytest.mark.parametrize("size", [1, 2, 500])
def test_pages_of_any_size_find_the_same_and_a_preview_says_where_it_ends(
    answered, project, criterion, monkeypatch, client, max_, size
):
    whole = look(Answers(project=project, prompt_set=answered, most=4), criterion)
    monkeypatch.setattr(finding, "PAGE_PROMPTS", size)
    monkeypatch.setattr(finding, "CHUNK_TEXTS", size)
    assert look(Answers(project=project, prompt_set=answered, most=4), criterion) == whole
    everything = Answers(project=project, prompt_set=answered, most=4)
    found = count_tasks(everything, criterion, at_most=2)
    assert (found.tasks, found.prompts, found.has_more) == (2, 2, True)
    # Of answers it looks at no more than a page beyond what it may.
    found = count_tasks(everything, criterion, at_most_answers=5)
    assert (found.prompts, found.has_more) == {1: (2, True), 2: (2, True), 500: (5, False)}[size]
    for prompts, at_most in ((2, 2), (None, 5), (9, 5), (1, 3)):
        answers = Answers(project=project, prompt_set=answered, prompts=prompts)
        assert not count_tasks(answers, criterion, at_most=at_most).has_more
    monkeypatch.setattr(review_page, "PREVIEW_PROMPTS", 2)
    client.force_login(max_)
    sent = {"part": "preview", "criterion": criterion.pk, "prompt_set": answered.pk, "most": 2}
    page = client.get(reverse("annotation:batch_from_answers", args=[project.slug]), sent).content.decode()
    assert "Of the first 2 prompts: <strong>2</strong> tasks with 4 answers" in page


def test_texts_do_not_stay_in_memory(answered, project, criterion, max_):
    """Two hundred answers of 100 kB: the tasks of all of them, in a fraction of what they take."""
    of = {"actor": max_, "project": project}
    prompt_set = get_or_create_prompt_set(**of, name="long", purpose="policy")
    rows = [{"messages": [{"role": "user", "content": f"Long {n}?"}]} for n in range(100)]
    source = get_or_create_source(**of, kind="policy", name="a")
    add_responses(
        **of,
        rows=[
            NewResponse(prompt=prompt, source=source, text=f"{n} {prompt.pk}" + "x" * 100_000)
            for prompt in add_prompts(**of, rows=rows, prompt_set=prompt_set)
            for n in range(2)
        ],
    )
    answers = Answers(project=project, prompt_set=prompt_set)
    gc.collect()
    tracemalloc.start()
    try:
        assert count_tasks(answers, criterion).tasks == 100
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 20 MB of texts; what is read at once is twenty of them.
    assert peak < 8_000_000


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_not_ask_the_same(answered, project, criterion, max_, monkeypatch):
    both = threading.Barrier(2)
    real = actions.create_batch

    def create_batch(**values):
        # Without a lock both have looked by now, and each would make a batch.
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1)
        return real(**values)

    monkeypatch.setattr(actions, "create_batch", create_batch)

    def make(name):
        answers = Answers(project=project, prompt_set=answered)
        try:
            make_batch_from_answers(actor=max_, answers=answers, criterion=criterion, name=name)
        except InvalidBatch as error:
            return error.code
        finally:
            connection.close()
        return "made"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(make, ["one", "two"])) == ["made", "no_answers"]
    assert project.batches.count() == 1


def test_page_command_and_program_make_the_same_batch(answered, project, max_, ada, client, program):
    client.force_login(max_)
    address = reverse("annotation:batch_from_answers", args=[project.slug])
    sent = {
        "name": "by page", "criterion": project.criteria.get().pk, "prompt_set": answered.pk, "most": 3,
        "sources": [source.pk for source in project.sources.filter(name__in="ab")],
        "people": ["ada"], "person_quota": 2,
    }  # fmt: skip
    preview = client.get(address, sent | {"part": "preview", "name": ""})
    assert "<strong>3</strong> tasks with 7 answers" in preview.content.decode()
    answer = client.post(address, sent)
    by_page = Batch.objects.get(name="by page")
    assert answer.url == reverse("annotation:batch", args=[project.slug, by_page.pk])
    assert shown(by_page) == [["a1", "b1", "a2"], ["a1", "b1"], ["b1", "b2"]] and by_page.kind == "ranking"
    call_command(
        "make_batch", "kitchen", "by command", "--prompt-set", "asked", "--source", "a", "--source", "b",
        "--answers", "3", "--asked-too", "--people", "ada", "--person-quota", "2", verbosity=0,
    )  # fmt: skip
    body = {
        "name": "by program", "prompt_set": answered.pk, "sources": ["a", "b"], "answers": 3, "skip_asked": False,
        "open": True, "audience": {"people": ["ada"], "person_quota": 2},
    }  # fmt: skip
    assert program(max_, project)("POST", "projects/kitchen/batches/from-answers", body).status_code == 201
    for name, state in (("by command", "draft"), ("by program", "open")):
        batch = Batch.objects.get(name=name)
        assert (shown(batch), batch.kind, batch.state) == (shown(by_page), "ranking", state)
        assert batch_audience(batch) == batch_audience(by_page)
    assert (batch_audience(by_page)["people"], batch_audience(by_page)["person_quota"]) == (["ada"], 2)
    # Somebody who is not on the project: nothing is made.
    answer = program(max_, project)(
        "POST", "projects/kitchen/batches/from-answers",
        body | {"name": "for nobody", "audience": {"people": ["olga"]}},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (400, "no_such_person")
    assert not Batch.objects.filter(name="for nobody").exists()
    answer = client.post(address, sent | {"name": "by program"})
    assert answer.status_code == 422 and "already" in answer.context["form"].non_field_errors()[0]


def test_every_different_answer_is_a_task_where_one_answer_is_asked_for(project, max_, criterion, answered):
    answers = Answers(project=project, prompt_set=answered, most=1)
    tasks, found = look(answers, criterion)
    assert tasks == [
        ["a1"], ["b1"], ["c1"], ["a2"], ["a1"], ["b1"], ["b1"], ["b2"], ["a1"], ["same"],
    ]  # fmt: skip
    assert (found.largest, found.too_few) == (1, 0)
    # Prompts that are compared already can be rated, and the other way round.
    pairs = Answers(project=project, prompt_set=answered)
    make_batch_from_answers(actor=max_, answers=pairs, criterion=criterion, name="pairs")
    batch = make_batch_from_answers(actor=max_, answers=answers, criterion=criterion, name="ratings")
    assert (batch.kind, batch.tasks.count()) == (Batch.Kind.RATING, 10)
    with pytest.raises(InvalidBatch, match="There is nothing to rate.* 5 are in a batch of this criterion"):
        make_batch_from_answers(actor=max_, answers=answers, criterion=criterion, name="again")
