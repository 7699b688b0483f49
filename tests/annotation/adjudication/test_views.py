import pytest
from django.urls import reverse

from annotation.adjudication.actions import current_decision, return_judgment
from annotation.models import Judgment, ReturnedJudgment
from annotation.quality.actions import measure_project
from tests.annotation.adjudication.test_actions import decide, disputed  # noqa: F401
from tests.annotation.quality.conftest import judged  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def address(name, project, **kwargs):
    return reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})


def test_the_list_leads_with_the_least_certain_and_leaves_out_what_is_decided(
    client,
    project,
    max_,
    ruth,
    judged,  # noqa: F811
):
    _, tasks, *_ = judged
    measure_project(actor=max_, project=project)
    client.force_login(ruth)
    page = client.get(address("disagreements", project))
    rows = [row["row"].task_id for row in page.context["rows"]]
    assert tasks[5].pk in rows[:2] and tasks[2].pk not in rows[:2]
    assert {row["row"].task_id: row["said"] for row in page.context["rows"]}[tasks[5].pk] == (2, 2)
    decide(ruth, tasks[5], kind="factual")
    page = client.get(address("disagreements", project))
    assert tasks[5].pk not in [row["row"].task_id for row in page.context["rows"]]
    assert {kind: number for kind, _, number in page.context["kinds"]}["factual"] == 1
    [row] = client.get(address("decisions", project) + "?kind=factual").context["rows"]
    assert row["decision"].task == tasks[5]
    assert not client.get(address("decisions", project) + "?kind=style").context["rows"]
    opinion = client.get(address("batch_task", project, pk=tasks[2].batch_id, task_pk=tasks[2].pk))
    assert b"What the crowd thinks" in opinion.content


def test_a_reviewer_decides_without_learning_who_said_what(client, project, ruth, ada, disputed):  # noqa: F811
    task, mine, theirs = disputed
    client.force_login(ruth)
    at = address("adjudicate", project, pk=task.pk)
    page = client.get(at)
    text = page.content.decode()
    for name in (ada.username, ada.pseudonym, theirs.annotator.username, "secret-policy"):
        assert name not in text
    # Both are said in the letters of this page: the order of the answers' texts.
    by_text = {row.response_id: row.response.text for row in task.task_responses.select_related("response")}
    first, second = sorted(by_text, key=by_text.get)
    better = "A" if mine.tiers[0] == [first] else "B"
    assert f"{better} is a little better than" in text and "A = B (a tie)" in text
    refused = client.post(at, {"kind": "slip"})
    assert refused.status_code == 422 and "Choose which answer is better" in refused.content.decode()
    assert client.post(at, {"scale": "8", "kind": "weather"}).status_code == 422
    done = client.post(at, {"scale": "8", "kind": "slip", "rationale": "B."}, follow=True)
    made = current_decision(task)
    [judgment] = made.decision_task.judgments.all()
    assert judgment.tiers == [[second], [first]] and judgment.strengths == [3]
    assert "B is much better than A" in done.content.decode()
    # Sent from a page that did not show that decision: refused, and then it takes its place.
    stale = client.post(at, {"scale": "0", "kind": "style"})
    assert stale.status_code == 409 and "B is much better than A" in stale.content.decode()
    assert f'name="expected" value="{made.pk}"' in stale.content.decode()
    client.post(at, {"scale": "0", "kind": "style", "expected": made.pk})
    assert current_decision(task).kind == "style"


def test_a_ranking_is_decided_by_places(client, project, ruth, ada, make_batch):
    from tests.annotation.datasets.conftest import judge_all

    batch = make_batch(tasks=1, responses_per_task=3)
    task = batch.tasks.get()
    judge_all(ruth, batch, [(task, ada, [[0], [1], [2]], [1, 1])])
    client.force_login(ruth)
    at = address("adjudicate", project, pk=task.pk)
    assert client.post(at, {"kind": "style", "place_A": "1"}).status_code == 422
    client.post(at, {"kind": "style", "place_A": "3", "place_B": "1", "place_C": "1"})
    by_text = {row.response_id: row.response.text for row in task.task_responses.select_related("response")}
    a, b, c = sorted(by_text, key=by_text.get)
    [judgment] = current_decision(task).decision_task.judgments.all()
    assert judgment.tiers == [[b, c], [a]] and judgment.strengths == [None]


def test_a_judgment_is_sent_back_and_stands(client, project, ruth, ada, disputed):  # noqa: F811
    task, mine, theirs = disputed
    client.force_login(ruth)
    client.post(address("return_judgment", project, pk=mine.pk), {"remark": "Read B again."})
    client.force_login(ada)
    page = client.get(address("overview", project)).content.decode()
    assert "Sent back to you" in page and "Read B again." in page and ruth.username not in page
    assert address("task", project, public_id=mine.assignment.public_id) in page
    returned = ReturnedJudgment.objects.get()
    client.force_login(theirs.annotator)
    keep = address("keep_judgment", project, pk=returned.pk)
    assert "Read B again." not in client.get(address("overview", project)).content.decode()
    assert client.post(keep).status_code == 404
    client.force_login(ada)
    client.post(keep, {"reason": "B is wrong."})
    assert "Sent back to you" not in client.get(address("overview", project)).content.decode()
    client.force_login(ruth)
    assert "B is wrong." in client.get(address("adjudicate", project, pk=task.pk)).content.decode()
    assert Judgment.objects.current().filter(pk=mine.pk).exists()


def test_another_projects_tasks_are_not_there(client, project, olga, ruth, disputed):  # noqa: F811
    from workspace.actions import create_project

    task, mine, _ = disputed
    other = create_project(actor=olga, name="Elsewhere")
    client.force_login(olga)
    assert client.get(address("adjudicate", other, pk=task.pk)).status_code == 404
    assert client.post(address("return_judgment", other, pk=mine.pk), {"remark": "x"}).status_code == 404
    returned = return_judgment(actor=ruth, judgment=mine, remark="x")
    assert client.post(address("keep_judgment", other, pk=returned.pk)).status_code == 404
