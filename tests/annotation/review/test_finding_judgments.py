"""A batch's judgments: filters, neighbours, the others of a task, skips; and what stays hidden."""

import re

import pytest
from django.urls import reverse

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Judgment
from annotation.queue.actions import claim_task, skip_task

pytestmark = [pytest.mark.db, pytest.mark.django_db]
SECRET = "secret-policy-7b"  # who wrote the answers of make_batch


@pytest.fixture
def judge(project, key):
    def judge(person, flags=()):
        assignment = claim_task(actor=person, project=project)
        content = JudgmentInput(
            tiers=[["A"], ["B"]], strengths=[2], flags=list(flags), rationale=f"so says {person}"
        )
        return submit_judgment(actor=person, assignment=assignment, content=content, idempotency_key=key())

    return judge


@pytest.fixture
def world(project, make_batch, make_annotators, judge):
    """Three tasks for two people each: one judges all, flagging the first and the third; two judges the first and
    skips the second."""
    one, two = make_annotators(2)
    batch = make_batch(tasks=3, overlap=2)
    judged = [judge(one, ["unsafe"]), judge(one), judge(one, ["both_bad", "unsafe"]), judge(two)]
    skip_task(actor=two, assignment=claim_task(actor=two, project=project), reason="I wrote <one> of them.")
    return batch, one, two, judged


def page_of(client, name, *keys, query=""):
    answer = client.get(reverse(f"annotation:{name}", args=["kitchen", *keys]) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def listed(text):
    return [int(key) for key in re.findall(r"/judgments/(\d+)/[^>]*><span dir", text)]


def neighbours(text):
    found = dict(re.findall(r'rel="(prev|next)" href="[^"]*/judgments/(\d+)/', text))
    return tuple(int(found[name]) if name in found else None for name in ("prev", "next"))


def test_a_batch_lists_its_judgments_by_person_and_flag(client, world, ruth):
    batch, one, two, judged = world
    a, b, c, d = (row.pk for row in judged)
    client.force_login(ruth)
    for query, expected in {
        "": [d, c, b, a],
        f"?annotator={two.pseudonym}": [d],
        "?flag=any": [c, a],
        "?flag=none": [d, b],
        "?flag=both_bad": [c],
        f"?flag=unsafe&annotator={one.pseudonym}": [c, a],
        f"?flag=unsafe&annotator={two.pseudonym}": [],
        "?flag=nonsense&purpose=gold_": [d, c, b, a],  # no such choice: nothing is filtered
        "?purpose=gold": [d, c, b, a],  # for who judges, too, there are none to choose
        "?purpose=practice": [],
    }.items():
        assert listed(page_of(client, "batch", batch.pk, query=query)) == expected, query


def test_previous_and_next_are_those_of_the_list_it_came_from(client, world, ruth):
    batch, one, two, judged = world
    a, b, c, d = (row.pk for row in judged)
    client.force_login(ruth)
    assert neighbours(page_of(client, "judgment", batch.pk, c)) == (d, b)
    assert neighbours(page_of(client, "judgment", batch.pk, d)) == (None, c)
    flagged = page_of(client, "judgment", batch.pk, c, query="?flag=unsafe")
    assert neighbours(flagged) == (None, a)
    assert f"/judgments/{a}/?flag=unsafe" in flagged  # the list goes along
    assert f"/batches/{batch.pk}/?flag=unsafe" in flagged
    of_one = page_of(client, "judgment", batch.pk, b, query=f"?annotator={one.pseudonym}")
    assert neighbours(of_one) == (c, a)


def test_a_judgment_leads_to_the_others_of_its_task_and_to_the_task(client, world, ruth):
    batch, one, two, judged = world
    first, _, third, other = judged
    assert first.task_id == other.task_id
    client.force_login(ruth)
    text = page_of(client, "judgment", batch.pk, first.pk)
    assert f"so says {two}" in text and f"/judgments/{other.pk}/" in text
    assert reverse("annotation:batch_task", args=["kitchen", batch.pk, first.task_id]) in text
    assert "Nobody else has judged it." in page_of(client, "judgment", batch.pk, third.pk)
    task = page_of(client, "batch_task", batch.pk, first.task_id)
    assert f"so says {one}" in task and f"so says {two}" in task and "2 of 2 judgments" in task
    assert "Task 1 of 3" in task


def test_who_wrote_an_answer_only_managers_read(client, world, ada, ruth, max_):
    batch, _, _, judged = world
    pages = [("judgment", judged[0].pk), ("batch_task", judged[0].task_id)]
    client.force_login(max_)
    for name, key in pages:
        assert page_of(client, name, batch.pk, key).count(f"{SECRET} (Policy)") == 2
    client.force_login(ruth)
    for name, key in [*pages, ("batch_skips", None)]:
        text = page_of(client, name, batch.pk, *([key] if key else []))
        assert SECRET not in text and "(Policy)" not in text
    client.force_login(ada)
    for name, key in [*pages, ("batch_skips", None)]:
        keys = ["kitchen", batch.pk, *([key] if key else [])]
        assert client.get(reverse(f"annotation:{name}", args=keys)).status_code == 404


def test_reviewers_get_a_task_in_the_order_of_its_texts(client, make_batch, ruth):
    batch = make_batch(tasks=1, texts=["zebra", "apple"], opened=False)
    client.force_login(ruth)
    task = batch.tasks.get()
    text = page_of(client, "batch_task", batch.pk, task.pk)
    assert text.index("apple") < text.index("zebra") and "nobody is asked yet" in text
    assert f"/tasks/{task.pk}/" in page_of(client, "batch", batch.pk)  # from the draft's own page


def test_skips_are_seen_with_their_reasons(client, program, world, ruth, max_):
    batch, _, two, judged = world
    client.force_login(ruth)
    assert reverse("annotation:batch_skips", args=["kitchen", batch.pk]) in page_of(client, "batch", batch.pk)
    text = page_of(client, "batch_skips", batch.pk)
    assert "I wrote &lt;one&gt; of them." in text and two.username in text
    assert "I wrote" in page_of(client, "batch_task", batch.pk, judged[1].task_id)
    client.logout()
    rows = program(max_)("GET", f"projects/kitchen/batches/{batch.pk}/skips").json()["results"]
    assert [(row["task"], row["annotator"], row["reason"]) for row in rows] == [
        (judged[1].task_id, two.pseudonym, "I wrote <one> of them.")
    ]


def test_programs_filter_by_flag(program, world, max_):
    judged = world[3]
    call = program(max_)

    def found(flag):
        rows = call("GET", f"projects/kitchen/judgments?flag={flag}").json()["results"]
        return [row["id"] for row in rows]

    assert found("unsafe") == found("any") == [judged[2].pk, judged[0].pk]
    assert found("both_bad") == [judged[2].pk]
    assert found("none") == [judged[3].pk, judged[1].pk]
    assert call("GET", "projects/kitchen/judgments?flag=salty").status_code == 400
    assert Judgment.objects.count() == 4


def test_a_task_of_another_batch_or_project_is_not_found(client, world, make_batch, max_, olga):
    batch = world[0]
    other = make_batch(tasks=1)
    client.force_login(max_)
    address = reverse("annotation:batch_task", args=["kitchen", batch.pk, other.tasks.get().pk])
    assert client.get(address).status_code == 404
    client.force_login(olga)
    assert client.get(address.replace("kitchen", "garden")).status_code == 404
