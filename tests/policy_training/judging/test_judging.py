"""A language model as one of a batch's annotators: page, command and API ask for the same, its judgments stand beside
people's or in their place, and what it is worth is measured.
"""

from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.batches.actions import change_overlap
from annotation.batches.progress import batch_progress
from annotation.errors import InvalidBatch
from annotation.judging.ai import AIJudgment, add_ai_judgments, tasks_to_judge
from annotation.models import AIJudging, Batch, Judgment
from annotation.quality.actions import measure_project
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift
from policy_training.judging.actions import judge_batch, judge_config
from policy_training.judging.kind import JUDGE
from runs.models import Run
from runs.worker import run_worker
from tests.annotation.conftest import make_annotators, make_batch  # noqa: F401
from tests.annotation.datasets.conftest import judge_all
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.training.model_servers import environment_for, serving
from tests.policy_training.training.test_judging import shown as shown_answers
from tests.policy_training.training.test_judging import verdict
from workspace.models import User

pytestmark = [pytest.mark.db, pytest.mark.django_db]
FIRST, SECOND, TIE = [[0], [1]], [[1], [0]], [[0, 1]]
ADDRESS = "/api/v1/projects/kitchen/ai-judgings"


@pytest.fixture(autouse=True)
def toy(settings):
    settings.MODEL_SERVERS = {"toy": "http://127.0.0.1:9/v1"}


def asked(batch, **further):
    config = judge_config(server="toy", model="judge-1", question="Which is kinder?")
    return {"batch": batch, "config": config} | further


def queue(max_, project, batch, **further):
    return judge_batch(actor=max_, project=project, **asked(batch, **further))


def save(run, batch, orders, **report):
    """What a run of the judge says of the batch's tasks, as `orders` of places."""
    said = []
    for task, order in zip(batch.tasks.order_by("pk"), orders, strict=True):
        keys = list(task.task_responses.order_by("position").values_list("response_id", flat=True))
        said.append(
            AIJudgment(
                task=task.pk,
                tiers=[[keys[place] for place in tier] for tier in order],
                metadata={"model": "m"},
            )
        )
    return add_ai_judgments(
        actor=run.requested_by, project=run.project, batch=batch, run=run, annotator=run.parameters["annotator"],
        judgments=said, takes_slots=run.parameters["takes_slots"],
        report={"question": "?", "tasks": len(said)} | report,
    )  # fmt: skip


def test_page_command_and_api_ask_for_the_same(client, project, max_, make_batch):  # noqa: F811
    batch = make_batch(tasks=2, name="Toast")
    client.force_login(max_)
    address = reverse("policies:judge", args=["kitchen"])
    plain = shown(client, address, batch=batch.pk) | {"server": "toy", "model": "judge-1"}
    preview = client.get(address, plain | {"part": "preview", "judge.repeats": "2"}).content.decode()
    assert batch.criterion.question in preview and ">8<" in preview  # 2 tasks, both orders, twice
    for typed in ("abc", "", "[1]"):  # while somebody types; what is wrong is said when it is sent
        answer = client.get(address, plain | {"part": "preview", "judge.repeats": typed})
        assert answer.status_code == 200 and ">2<" in answer.content.decode()
    run = started(client.post(address, plain | {"judge.repeats": "2", "judge.price_prompt": "3"}))
    assert run.config["judge"]["criterion"] == batch.criterion.question
    assert run.parameters["tasks"] == 2 and not run.parameters["takes_slots"]
    call_command(
        "judge_batch", "kitchen", "Toast", "--server", "toy", "--model", "judge-1",
        "--set", "judge.repeats=2", "judge.price_prompt=3", stdout=StringIO(),
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    body = {"batch": batch.pk, "server": "toy", "model": "judge-1"}
    body["settings"] = {"judge.repeats": 2, "judge.price_prompt": 3}
    answer = client.post(ADDRESS, body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))
    assert client.get(address, {"run": run.pk}).context["form"]["model"].value() == "judge-1"
    wrong = client.post(address, plain | {"judge.repeats": "0"})
    assert wrong.status_code == 422 and "repeats" in wrong.context["form"].errors["judge.repeats"][0]
    assert client.post(address, plain | {"server": "other"}).status_code == 422
    assert (
        client.post(
            ADDRESS, body | {"settings": {"judge.weight": 2}}, content_type="application/json"
        ).status_code
        == 400
    )
    assert "not one of this site's" in refused(
        "judge_batch", "kitchen", "Toast", "--server", "other", "--model", "m"
    )
    assert "no batch named" in refused("judge_batch", "kitchen", "Bread", "--server", "toy", "--model", "m")
    assert "it must stay 1" in refused(
        "judge_batch", "kitchen", "Toast", "--server", "toy", "--model", "m", "--set", "judge.weight=2"
    )
    assert Run.objects.count() == 3


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_worker_has_the_model_judge_and_people_are_asked_as_before(
    project, max_, make_batch, settings, monkeypatch, client  # noqa: F811
):  # fmt: skip
    """It likes what ends later in the alphabet; of the first task it likes what is shown first."""
    batch = make_batch(tasks=3, overlap=2, texts=["apple", "zebra"])
    first = batch.tasks.order_by("pk").first()
    texts = first.prompt.messages[-1]["content"]

    def judge(number, path, body):
        if texts in body["messages"][1]["content"]:
            return verdict("A")
        one, other = shown_answers(body)
        return verdict("A" if one > other else "B")

    with serving(judge) as server:
        for name, value in environment_for(server.address, "sk-1").items():
            monkeypatch.setenv(name, value)
        settings.MODEL_SERVERS = {"toy": server.address}
        run = queue(max_, project, batch)
        assert run_worker([JUDGE], once=True, install_signals=False) == 1
        assert len(server.requests) == 3 * 2
    run.refresh_from_db()
    assert run.state == "done", (run.state, run.error)
    judging = AIJudging.objects.get()
    annotator = judging.annotator
    assert annotator.kind == User.Kind.AI and not annotator.has_usable_password()
    judgments = list(Judgment.objects.filter(annotator=annotator).order_by("task"))
    keys = list(first.task_responses.order_by("position").values_list("response_id", flat=True))
    assert judgments[0].tiers == [keys], "orders that disagree are a tie"
    assert [len(judgment.tiers) for judgment in judgments] == [1, 2, 2]
    assert judgments[1].metadata["model"] == "judge-1" and judgments[1].metadata["template_version"] == 1
    assert judgments[1].metadata["prompt_tokens"] == 200 and not judgments[1].surplus
    assert judging.report["tie_rate"] == pytest.approx(1 / 3) and judging.report[
        "order_rate"
    ] == pytest.approx(1 / 3)
    assert not find_counter_drift(project)
    assert Run.objects.filter(kind="measure_quality").count() == 1
    client.force_login(max_)
    row = client.get(ADDRESS, {"batch": batch.pk}).json()["results"][0]
    assert (row["judgments"], row["takes_slots"], row["annotator"]) == (3, False, annotator.pseudonym)
    with pytest.raises(Exception, match="judged every task"):
        queue(max_, project, batch)


def test_beside_people_as_many_of_them_are_asked_as_before(
    project, max_, make_batch, make_annotators  # noqa: F811
):  # fmt: skip
    batch = make_batch(tasks=3, overlap=2)
    save(queue(max_, project, batch), batch, [FIRST, SECOND, TIE])
    assert not Judgment.objects.filter(surplus=True).exists()
    columns = ("required_judgments", "open_slots", "counted_judgments")
    assert list(batch.tasks.values_list(*columns)) == [(3, 2, 1)] * 3
    batch.refresh_from_db()
    assert batch.quota == 6 + 3 and batch_progress(batch).counted == 3
    for overlap, found in ((1, (2, 1, 1)), (3, (4, 3, 1)), (2, (3, 2, 1))):
        batch = change_overlap(actor=max_, batch=batch, overlap=overlap)
        assert list(batch.tasks.values_list(*columns)) == [found] * 3
        assert batch.quota == 3 * overlap + 3
    [person] = make_annotators(1)
    assert claim_task(actor=person, project=project) is not None
    assert not find_counter_drift(project)


def test_in_place_of_people_it_takes_their_slots_and_never_both_ways(
    project, max_, make_batch  # noqa: F811
):  # fmt: skip
    batch = make_batch(tasks=2, overlap=2)
    run = queue(max_, project, batch, takes_slots=True)
    for _ in range(2):  # a worker may be told twice
        save(run, batch, [FIRST, SECOND])
    assert AIJudging.objects.get().judgments == 2 == Judgment.objects.count()
    assert (
        list(batch.tasks.values_list("required_judgments", "open_slots", "counted_judgments"))
        == [(2, 1, 1)] * 2
    )
    batch.refresh_from_db()
    assert batch.quota == 4 and not find_counter_drift(project)
    with pytest.raises(InvalidBatch, match="the other way already"):
        queue(max_, project, batch)
    closed = make_batch(tasks=1)
    Batch.objects.filter(pk=closed.pk).update(state="closed")
    closed.refresh_from_db()
    with pytest.raises(InvalidBatch, match="not open"):
        queue(max_, project, closed, takes_slots=True)
    assert queue(max_, project, closed)
    rating = make_batch(tasks=1, responses_per_task=1, opened=False)
    with pytest.raises(InvalidBatch, match="are ratings"):
        queue(max_, project, rating)


def test_two_runs_of_one_judge_never_judge_a_task_twice(project, max_, make_batch):  # noqa: F811
    batch = make_batch(tasks=2)
    one, other = queue(max_, project, batch), queue(max_, project, batch)
    assert one.parameters["annotator"] == other.parameters["annotator"]
    save(one, batch, [FIRST, SECOND])
    assert save(other, batch, [SECOND, SECOND]).judgments == 0
    assert Judgment.objects.count() == 2
    assert not tasks_to_judge(batch, one.parameters["annotator"]).exists()


def test_what_it_is_worth_beside_people_is_measured_and_shown(
    project, max_, ruth, make_batch, make_annotators, client  # noqa: F811
):  # fmt: skip
    batch = make_batch(tasks=4, overlap=1)
    other_batch = make_batch(tasks=1)
    [person] = make_annotators(1)
    tasks = list(batch.tasks.order_by("pk"))
    people = [FIRST, FIRST, SECOND, FIRST]
    judge_all(max_, batch, [(task, person, order, [1]) for task, order in zip(tasks, people, strict=True)])
    run = queue(max_, project, batch)
    report = {"tie_rate": 0.25, "order_rate": 0.5, "first_share": {"value": 0.75, "low": 0.4, "high": 1.1}}
    save(run, batch, [FIRST, TIE, SECOND, SECOND], **report)
    save(queue(max_, project, other_batch), other_batch, [FIRST])
    measured = measure_project(actor=max_, project=project)
    [machine] = measured.summaries[str(batch.criterion_id)]["machines_by_batch"]
    assert machine["batch"] == batch.pk and machine["pairs"] == 4
    # Of A, tie, B it says 1, 1, 2 and people 3, 0, 1: agreement 2/4, by chance (1*3 + 1*0 + 2*1)/16; Cohen (1960).
    assert machine["same"][0] == 0.5
    assert machine["kappa"][0] == pytest.approx((0.5 - 5 / 16) / (1 - 5 / 16))
    assert (machine["ties"], machine["people_ties"]) == (0.25, 0.0)
    client.force_login(ruth)
    page = client.get(reverse("annotation:ai_judges", args=["kitchen", batch.pk])).content.decode()
    assert (
        "75 % (40 % to 100 %)" in page
        and "0.27" in page
        and "25 %" in page
        and run.parameters["annotator"] in page
    )
    found = client.get("/api/v1/projects/kitchen/quality").json()["machines"]
    by_batch = {row["batch"]: row for row in found}
    assert by_batch.keys() == {None, batch.pk}
    assert (
        by_batch[batch.pk]["kappa"][0] == pytest.approx(3 / 11)
        and by_batch[batch.pk]["annotator_kind"] == "ai"
    )
    empty = client.get(reverse("annotation:ai_judges", args=["kitchen", make_batch(tasks=1).pk]))
    assert "No model has judged this batch" in empty.content.decode()
