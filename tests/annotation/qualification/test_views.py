"""The pages: what managers make and see, and a training on the work page's own endpoints."""

import html
import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.models import Assignment, GoldJudgment, Qualification, Task
from annotation.qualification.actions import let_through
from tests.annotation.qualification.conftest import known_first

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]


@pytest.fixture
def go(client, project):
    def go(name, body=None, *, as_json=False, **kwargs):
        address = reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})
        if as_json:
            return client.post(address, json.dumps(body), content_type="application/json")
        return client.get(address) if body is None else client.post(address, body)

    return go


def test_a_training_on_the_work_page_tells_after_each_task_what_is_right(
    go, client, ada, project, training, key
):
    client.force_login(ada)
    assert "Begin the training" in go("overview").content.decode()
    for place, right in enumerate([True, False, True, True], start=1):
        shown = go("next_task", {}, as_json=True).json()
        assert shown["practice"] is True
        assert f"task {place} of 4" in shown["html"]
        assert "data-skip" not in shown["html"]
        assert shown["progress"]["remaining"] == 5 - place
        held = Assignment.objects.get(public_id=shown["public_id"])
        assert go("feedback", public_id=held.public_id).status_code == 404
        first = known_first(held)
        first = first if right else {"A": "B", "B": "A"}[first]
        sent = {
            "tiers": [[first], ["B" if first == "A" else "A"]], "strengths": [1], "idempotency_key": key()
        }  # fmt: skip
        stored = go("submit", sent, as_json=True, public_id=held.public_id)
        told = stored.json()["feedback"]
        assert ("is-right" in told) is right
        assert "It <strong>helps</strong> more." in told
        assert go("feedback", public_id=held.public_id).json()["feedback"] == told
        # Sent again it says the same and counts once.
        assert go("submit", sent, as_json=True, public_id=held.public_id).json()["feedback"] == told
    assert "You passed" in told
    page = go("own_training", pk=training.pk).content.decode()
    assert page.count("Not as expected") == 1
    assert "Begin the training" not in go("overview").content.decode()


def test_who_failed_is_told_on_the_work_page_and_begins_again(go, client, ada, project, training, answer):
    client.force_login(ada)
    for _ in range(4):
        answer(ada, right=False)
    shown = go("next_task", {}, as_json=True).json()
    assert shown["public_id"] is None
    assert "Training first" in shown["html"]
    assert go("begin_training_try", {}, pk=training.pk).url.endswith("/work/")
    assert go("next_task", {}, as_json=True).json()["practice"] is True


def test_a_manager_makes_gold_of_ticked_judgments_and_corrects_it(
    go, client, max_, ada, project, make_batch, key
):
    from annotation.judging.actions import JudgmentInput, submit_judgment
    from annotation.queue.actions import claim_task

    batch = make_batch(tasks=2)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
    judgments = [
        submit_judgment(
            actor=ada,
            assignment=claim_task(actor=ada, project=project),
            content=content,
            idempotency_key=key(),
        )
        for _ in range(2)
    ]
    client.force_login(max_)
    assert "known-form" in go("batch", pk=batch.pk).content.decode()
    go("make_known", {}, batch_pk=batch.pk)
    assert not GoldJudgment.objects.exists()
    go("make_known", {"judgments": [judgments[0].pk, "x", "9" * 30]}, batch_pk=batch.pk)
    [gold] = GoldJudgment.objects.all()
    assert gold.tiers == judgments[0].tiers
    page = go("known_answer", task_pk=gold.task_id).content.decode()
    assert "In force" in page
    a, b = gold.task.task_responses.order_by("position").values_list("response_id", flat=True)
    sent = {
        "version": 1, "order_A": 1, "order_B": 1, "step_1": "", "tolerance": "1", "least_pairs": "",
        "explanation": "Both\r\nhelp.",
    }  # fmt: skip
    assert go("known_answer", sent, task_pk=gold.task_id).status_code == 302
    gold.refresh_from_db()
    assert (gold.tiers, gold.strengths, gold.tolerance) == ([[a, b]], [], 1)
    assert (gold.explanation, gold.version) == ("Both\nhelp.", 2)
    # From an outdated page: nothing is lost, and nothing silently replaced.
    late = go("known_answer", sent | {"order_B": 2, "step_1": "3"}, task_pk=gold.task_id)
    assert late.status_code == 409
    assert "Somebody saved version 2" in late.content.decode()
    gold.refresh_from_db()
    assert gold.tiers == [[a, b]]
    wrong = go("known_answer", sent | {"order_A": 7}, task_pk=gold.task_id)
    assert (wrong.status_code, "from 1 to 2" in wrong.content.decode()) == (422, True)
    normal = Task.objects.filter(purpose="normal").first()
    assert go("known_answer", task_pk=normal.pk).status_code == 404


def test_a_manager_makes_a_training_and_sees_and_changes_who_passed(go, client, max_, ada, project, training):
    client.force_login(max_)
    assert "3 of 4" in go("checks").content.decode()
    made = go("new_training", {"name": "Rankings", "criterion": project.criteria.get().pk, "kind": "ranking"})
    assert made.status_code == 302
    assert go("new_training", {"name": "Rankings", "criterion": 0, "kind": "x"}).status_code == 422
    page = go("training", pk=training.pk).content.decode()
    assert "Not begun" in page
    sent = {"person": ada.pseudonym, "change": "let_through", "note": "Known", "expected_state": "none"}
    go("change_standing", sent, pk=training.pk)
    assert Qualification.objects.get(annotator=ada).state == "let_through"
    go("change_standing", sent | {"change": "ask_again"}, pk=training.pk)  # looked at it before
    assert Qualification.objects.get(annotator=ada).state == "let_through"
    go("change_standing", sent | {"change": "ask_again", "expected_state": "let_through"}, pk=training.pk)
    assert Qualification.objects.get(annotator=ada).state == "open"
    go("change_standing", sent | {"person": "nobody"}, pk=training.pk)
    batch = project.batches.get(name="Source of the training")
    go("require_training", {"training": training.pk}, batch_pk=batch.pk)
    batch.refresh_from_db()
    assert batch.required_training == training
    go("require_training", {"training": ""}, batch_pk=batch.pk)
    batch.refresh_from_db()
    assert batch.required_training is None
    assert (
        go("set_checks", {"gold_share": 5, "repeat_share": 4, "repeat_after": 30, "shown": "old"}).status_code
        == 409
    )


def test_another_projects_training_is_not_found(go, client, olga, max_, ada, project, training):
    from workspace.models import Project

    client.force_login(olga)
    garden = Project.objects.get(slug="garden")
    address = reverse("annotation:training", kwargs={"slug": garden.slug, "pk": training.pk})
    assert client.get(address).status_code == 404
    let_through(actor=max_, training=training, annotator=ada)
    for name in ("checks", "training", "own_training"):
        kwargs = {} if name == "checks" else {"pk": training.pk}
        assert go(name, **kwargs).status_code == 404


def test_further_right_orders_are_set_by_page_command_and_program(
    go, client, max_, ada, project, make_batch, key, program
):
    from annotation.judging.actions import JudgmentInput, submit_judgment
    from annotation.judging.gold import known_answer, make_known_tasks
    from annotation.preferences.known_answers import Order, is_right
    from annotation.queue.actions import claim_task

    make_batch(tasks=1, responses_per_task=3)
    held = claim_task(actor=ada, project=project)
    content = JudgmentInput(tiers=[["A"], ["B"], ["C"]], strengths=[1, 1])
    judged = submit_judgment(actor=ada, assignment=held, content=content, idempotency_key=key())
    make_known_tasks(actor=max_, project=project, judgments=[judged])
    gold = GoldJudgment.objects.get()
    shown = gold.task.task_responses.order_by("position").select_related("response")
    a, b, c = (row.response_id for row in shown)
    client.force_login(max_)

    def right():
        known = known_answer(GoldJudgment.objects.get())
        orders = {
            "abc": [[a], [b], [c]],
            "acb": [[a], [c], [b]],
            "bca": [[b], [c], [a]],
            "cab": [[c], [a, b]],
        }
        return {
            name for name, tiers in orders.items() if is_right(Order(tiers, [1] * (len(tiers) - 1)), known)
        }

    sent = {
        "version": 1, "order_A": 1, "order_B": 2, "order_C": 3, "step_1": "", "step_2": "", "tolerance": "",
        "least_pairs": "100", "explanation": "", "also_right": "B > C > A\r\n\r\nc >2 a = b",
    }  # fmt: skip
    assert go("known_answer", sent, task_pk=gold.task_id).status_code == 302
    assert right() == {"abc", "bca", "cab"}
    page = go("known_answer", task_pk=gold.task_id)
    assert page.context["form"]["also_right"].value() == "B > C > A\nC >2 A = B"
    for also, said in (
        ("B > A", "name each of A, B, C once"),
        ("A > B > C", "is another than the known one"),
    ):
        refused = go("known_answer", sent | {"version": 2, "also_right": also}, task_pk=gold.task_id)
        assert (refused.status_code, said in html.unescape(refused.content.decode())) == (422, True)
    assert right() == {"abc", "bca", "cab"}

    call_command(
        "set_known", project.slug, str(gold.task_id), "A > B > C", "--also", "A > C > B", verbosity=0
    )
    assert right() == {"abc", "acb"}
    with pytest.raises(CommandError, match="no task 999999 whose answer is known"):
        call_command("set_known", project.slug, "999999", "A > B")

    call, address = program(max_, project), f"projects/{project.slug}/known-tasks/{gold.task_id}"
    now = call("GET", address).json()
    ids = now["response_ids"]
    assert ids == [row.response.external_id for row in shown]
    assert now["tiers"] == [[ids[0]], [ids[1]], [ids[2]]] and now["version"] == 3
    assert now["also_right"] == [{"tiers": [[ids[0]], [ids[2]], [ids[1]]], "strengths": [None, None]}]
    body = {
        "tiers": now["tiers"], "strengths": now["strengths"], "expected_version": 3,
        "also_right": [{"tiers": [[ids[2]], [ids[0], ids[1]]], "strengths": [2]}],
    }  # fmt: skip
    answer = call("PUT", address, body)
    assert (answer.status_code, answer.json()["version"], answer.json()["also_right"]) == (
        200, 4, body["also_right"],
    )  # fmt: skip
    assert right() == {"abc", "cab"}
    assert call("PUT", address, body).status_code == 409
    unknown = call("PUT", address, body | {"expected_version": 4, "tiers": [["nobody's"]], "strengths": []})
    assert (unknown.status_code, "nobody's" in unknown.content.decode()) == (400, True)
    normal = Task.objects.filter(purpose="normal").first()
    assert call("GET", f"projects/{project.slug}/known-tasks/{normal.pk}").status_code == 404
