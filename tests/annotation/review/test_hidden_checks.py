"""Who judges and does not manage finds no known answers and no repeats anywhere: on pages, by the API, in events."""

import re
import uuid

import pytest
from django.urls import reverse

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Assignment, Judgment, Task
from annotation.questions.actions import ask_question
from annotation.queue.actions import claim_task, skip_task
from annotation.queue.positions import Kind
from annotation.queue.repeats import prepare_repeats
from events.publishing import publish_events
from workspace.members import set_role
from workspace.models import Project

pytestmark = [pytest.mark.db, pytest.mark.django_db]

# What would tell: the name of a batch of known answers, the kinds of tasks, and what was asked about one.
TELLING = ("Known answers", ">Gold<", ">Repeat<", "Is this a trap?")


def judge(person, project):
    assignment = claim_task(actor=person, project=project)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1], seconds=3.0)
    return submit_judgment(
        actor=person, assignment=assignment, content=content, idempotency_key=uuid.uuid4().hex
    )


@pytest.fixture
def checks(project, ada, ruth, make_batch, monkeypatch):
    """Ada has judged, skipped and asked about known answers; of Ruth's two judgments one waits for her again."""
    Project.objects.filter(pk=project.pk).update(gold_share=0.2, repeat_share=0.2, repeat_after=1)
    project.refresh_from_db()
    monkeypatch.setattr("annotation.queue.search.kind_at", lambda *_: Kind.USUAL)
    usual = make_batch(tasks=4, overlap=3, name="Usual ones")
    judge(ruth, project)
    judge(ruth, project)
    assert prepare_repeats(project) == 1
    known = make_batch(
        tasks=3, overlap=3, name="Known answers: helpful", task_fields=lambda _: {"purpose": "gold"}
    )
    mixed = Task.objects.get(pk=known.tasks.latest("pk").pk)
    Task.objects.filter(pk=mixed.pk).update(batch=usual)
    with monkeypatch.context() as patched:
        patched.setattr("annotation.queue.search.kind_at", lambda *_: Kind.GOLD)
        judge(ada, project)
        asked = claim_task(actor=ada, project=project)
        ask_question(actor=ada, assignment=asked, text="Is this a trap?")
        skip_task(actor=ada, assignment=asked, reason="no idea")
        claim_task(actor=ada, project=project)
    hidden = set(Task.objects.exclude(purpose="normal").values_list("pk", flat=True))
    assert len(hidden) == 4 and Judgment.objects.filter(task__in=hidden).exists()
    assert Assignment.objects.filter(task__in=hidden, state="leased").exists()
    publish_events()
    return {"usual": usual, "known": known, "hidden": hidden}


def crawl(client, project):
    """Every page of the project that links lead to: address -> text."""
    base = f"/projects/{project.slug}/"
    waiting, seen = [base, reverse("annotation:batches", args=[project.slug])], {}
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        answer = client.get(address)
        is_page = answer.get("Content-Type", "").startswith("text/html")
        seen[address] = answer.content.decode() if is_page and answer.status_code == 200 else ""
        links = re.findall(r'href="([^"#]+)', seen[address])
        waiting += [link.replace("&amp;", "&") for link in links if link.startswith(base)]
        if "Location" in answer:
            waiting.append(answer["Location"])
        assert len(seen) < 400
    return seen


def telling(client, project):
    return {word for text in crawl(client, project).values() for word in TELLING if word in text}


def test_no_page_that_a_reviewer_finds_tells_which_tasks_are_checks(client, checks, project, ruth):
    client.force_login(ruth)
    pages = crawl(client, project)
    found = {address: [word for word in TELLING if word in text] for address, text in pages.items()}
    assert {address: words for address, words in found.items() if words} == {}
    # It went into the batch and to its tasks, of which the one among them that is a check is left out.
    tasks = {int(match) for address in pages for match in re.findall(r"/tasks/(\d+)/$", address)}
    assert tasks == set(checks["usual"].tasks.filter(purpose="normal").values_list("pk", flat=True))


def test_who_manages_and_who_only_reads_see_them(client, checks, project, max_, ruth):
    client.force_login(max_)
    assert telling(client, project) == set(TELLING)
    set_role(actor=max_, project=project, user=ruth, role="reader")
    client.force_login(ruth)
    assert {"Known answers", ">Gold<"} <= telling(client, project)


def test_addresses_of_checks_are_not_there_for_who_judges(client, checks, project, ada, ruth, max_):
    known, hidden = checks["known"], Task.objects.filter(pk__in=checks["hidden"])
    judged = Judgment.objects.filter(task__in=hidden).get()
    slug = [project.slug]
    pages = [
        reverse("annotation:batch", args=[*slug, known.pk]),
        reverse("annotation:batch_skips", args=[*slug, known.pk]),
        reverse("annotation:throughput", args=[*slug, known.pk]),
        *(reverse("annotation:batch_task", args=[*slug, task.batch_id, task.pk]) for task in hidden),
        reverse("annotation:judgment", args=[*slug, judged.task.batch_id, judged.pk]),
        *(f"/api/v1/projects/{project.slug}/{path}" for path in (
            f"batches/{known.pk}", f"batches/{known.pk}/skips", f"batches/{known.pk}/throughput",
            f"judgments/{judged.pk}", *(f"tasks/{task.pk}" for task in hidden),
        )),
    ]  # fmt: skip
    for person, status in ((ruth, 404), (max_, 200), (ada, 404)):
        client.force_login(person)
        answered = {page: client.get(page).status_code for page in pages}
        if person == ada:  # an annotator may not even look
            assert set(answered.values()) <= {403, 404}
        else:
            assert answered == dict.fromkeys(pages, status)


def test_what_is_on_ones_screen_is_never_among_what_others_hold_skip_or_ask(
    client, checks, project, ruth, monkeypatch
):
    """Else a check would be the one that is missing there."""
    client.force_login(ruth)
    batch = checks["usual"]
    address = f"/api/v1/projects/{project.slug}"

    def look():
        pages = [
            client.get(reverse(f"annotation:{name}", args=args)).content.decode()
            for name, args in (
                ("batch", [project.slug, batch.pk]),
                ("batch_skips", [project.slug, batch.pk]),
                ("queue", [project.slug]),
                ("questions", [project.slug]),
            )
        ]
        progress = client.get(f"{address}/batches/{batch.pk}").json()["progress"]
        leases = [row["id"] for row in client.get(f"{address}/queue/leases").json()["results"]]
        # Numbers that only this page's address or token differ by are left out.
        return [re.sub(r'value="[^"]{40,}"', "", page) for page in pages], progress, leases

    before = look()
    for kind in (Kind.USUAL, Kind.GOLD, Kind.REPEAT):
        monkeypatch.setattr("annotation.queue.search.kind_at", lambda *_, kind=kind: kind)
        held = claim_task(actor=ruth, project=project)
        assert held.task.purpose == {"usual": "normal"}.get(kind.value, kind.value)
        assert look()[1:] == before[1:]
        if kind != Kind.USUAL:
            assert look() == before
        skip_task(actor=ruth, assignment=held, reason="for another")
        assert look()[1:] == before[1:]


def test_the_apis_lists_leave_checks_out_for_who_judges(client, checks, project, ruth, max_):
    hidden, known = checks["hidden"], checks["known"].pk

    def listed(path):
        answer = client.get(f"/api/v1/projects/{project.slug}/{path}")
        assert answer.status_code == 200, path
        return answer.json()["results"]

    def found():
        return {
            "batches": {row["id"] for row in listed("batches")} & {known},
            "tasks": {row["id"] for row in listed("tasks")} & hidden,
            "judgments": {row["task"] for row in listed("judgments")} & hidden,
            "leases": {row["task"] for row in listed("queue/leases")} & hidden,
            "skips": {row["task"] for row in listed(f"batches/{checks['usual'].pk}/skips")} & hidden,
            "questions": {row["text"] for row in listed("questions")},
            "events": {row["data"].get("task") for row in listed("events?after=0")} & hidden,
        }

    client.force_login(ruth)
    assert set(map(len, found().values())) == {0}
    assert listed("tasks?purpose=gold") == [] and listed("judgments?purpose=repeat") == []
    client.force_login(max_)
    assert {name for name, rows in found().items() if rows} >= {
        "batches", "tasks", "judgments", "leases", "questions", "events",
    }  # fmt: skip
