import tracemalloc
import uuid

import pytest

from annotation import record_columns as module
from annotation.content.actions import (
    NewDemonstration,
    NewResponse,
    add_demonstrations,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment, withdraw_judgment
from annotation.models import Judgment, Prompt
from annotation.preferences.comparisons import raw_comparisons
from annotation.queue.actions import claim_task
from annotation.record_columns import judgment_rows
from annotation.records import demonstration_rows, prompt_rows, response_rows
from learning.interface.record_checks import validate_row
from learning.interface.record_schemas import DEMONSTRATIONS, JUDGMENTS, PROMPTS, RESPONSES
from tests.annotation.exporting.conftest import bring, write_rows  # noqa: F401
from workspace.actions import change_question_settings

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def submit(actor, project, tiers, strengths, **fields):
    assignment = claim_task(actor=actor, project=project)
    judgment = submit_judgment(
        actor=actor,
        assignment=assignment,
        content=JudgmentInput(tiers=tiers, strengths=strengths, **fields),
        idempotency_key=uuid.uuid4().hex,
    )
    return assignment, judgment


def key():
    return uuid.uuid4().hex


def test_a_row_says_everything_of_a_judgment(project, ada, max_, make_batch):
    harmful = {"name": "harmful", "label": "Harmful?", "kind": "yes_no"}
    change_question_settings(
        actor=max_, project=project, allow_ties=True, ask_rationale=False, asked={"marks": [harmful]}
    )
    make_batch(tasks=1, responses_per_task=3, round_number=4, name="Batch 1")
    assignment, judgment = submit(
        ada, project, [["B"], ["A", "C"]], [3], rationale="clear", flags=["unsafe"], seconds=7.5,
        marks={"A": {"harmful": True}},
    )  # fmt: skip
    project.responses.filter(external_id=project.responses.first().external_id).update(ended=False)
    (row,) = judgment_rows(project)
    validate_row(row, JUDGMENTS, lambda: "row")
    (comparison,) = raw_comparisons([row])
    ends = {response.external_id: response.ended for response in project.responses.all()}
    assert sorted(map(str, ends.values())) == ["False", "None", "None"]
    assert {response["response_id"]: response["ended"] for response in row["responses"]} == ends
    assert dict(zip(comparison["response_ids"], comparison["ended"], strict=True)) == ends
    text_of = {response["response_id"]: response["text"] for response in row["responses"]}
    assert set(text_of) == {response.external_id for response in project.responses.all()}
    shown = row["order_shown"]
    assert row["tiers"] == [[shown[1]], [shown[0], shown[2]]]
    assert (row["strengths"], row["rationale"], row["flags"], row["seconds"]) == (
        [3],
        "clear",
        ["unsafe"],
        7.5,
    )
    assert next(r for r in row["responses"] if r["response_id"] == shown[0])["marks"] == {"harmful": 1.0}
    assert {(r["source"], r["policy"]) for r in row["responses"]} == {("policy", "secret-policy-7b")}
    assert (row["annotator"], row["annotator_kind"]) == (ada.pseudonym, "person")
    assert (row["batch"], row["round"], row["criterion"], row["project"]) == (
        "Batch 1",
        4,
        "helpful",
        project.slug,
    )
    assert (row["is_current"], row["withdrawn"], row["surplus"], row["supersedes"]) == (
        True,
        False,
        False,
        None,
    )
    assert row["split"] == Prompt.objects.get().split


def test_the_history_is_there_and_only_the_newest_is_current(project, ada, make_batch):
    make_batch(tasks=1)
    assignment, first = submit(ada, project, [["A"], ["B"]], [1])
    second = revise_judgment(
        actor=ada,
        assignment=assignment,
        content=JudgmentInput(tiers=[["B"], ["A"]], strengths=[2]),
        idempotency_key=key(),
    )
    third = withdraw_judgment(actor=ada, assignment=assignment, idempotency_key=key())
    rows = list(judgment_rows(project))
    assert [(row["judgment_id"], row["supersedes"], row["is_current"], row["withdrawn"]) for row in rows] == [
        (str(first.pk), None, False, False),
        (str(second.pk), str(first.pk), False, False),
        (str(third.pk), str(second.pk), True, True),
    ]


def test_what_is_submitted_while_rows_are_read_is_left_out_whole(project, ada, make_batch, monkeypatch):
    """A revision that comes in between leaves the judgment it replaces current: a chain is never seen half."""
    monkeypatch.setattr(module, "TASKS_PER_PAGE", 1)
    make_batch(tasks=2)
    submit(ada, project, [["A"], ["B"]], [1])
    assignment, second = submit(ada, project, [["A"], ["B"]], [1])
    rows = judgment_rows(project)
    next(rows)
    revise_judgment(
        actor=ada,
        assignment=assignment,
        content=JudgmentInput(tiers=[["B"], ["A"]], strengths=[2]),
        idempotency_key=key(),
    )
    (row,) = rows
    assert (row["judgment_id"], row["is_current"]) == (str(second.pk), True)


def test_judgments_of_one_task_are_neighbours_across_pages(project, make_batch, make_annotators, monkeypatch):
    monkeypatch.setattr(module, "TASKS_PER_PAGE", 2)
    make_batch(tasks=5, overlap=3)
    people = make_annotators(3)
    for person in people:
        for _ in range(5):
            submit(person, project, [["A"], ["B"]], [1])
    tasks = [row["task_id"] for row in judgment_rows(project)]
    assert len(tasks) == 15
    assert tasks == sorted(tasks, key=int)


def test_selections(project, ada, make_batch, criterion):
    one = make_batch(tasks=2)
    submit(ada, project, [["A"], ["B"]], [1])
    submit(ada, project, [["A"], ["B"]], [1])
    two = make_batch(tasks=1)
    submit(ada, project, [["A"], ["B"]], [1])
    assert len(list(judgment_rows(project, batches=[one]))) == 2
    assert len(list(judgment_rows(project, batches=[two]))) == 1
    assert len(list(judgment_rows(project, batches=[]))) == 0
    assert len(list(judgment_rows(project, criterion=criterion))) == 3
    assert len(list(judgment_rows(project, annotator_kinds=("simulated",)))) == 0
    splits = [row["split"] for row in judgment_rows(project)]
    for split in ("train", "validation", "test"):
        assert len(list(judgment_rows(project, splits=(split,)))) == splits.count(split)


def test_memory_does_not_grow_with_the_number_of_judgments(project, bring):  # noqa: F811
    def peak(count):
        """Of reading `count` judgments, beyond what the first of them took."""
        tracemalloc.start()
        read = sum(1 for _, _ in zip(judgment_rows(project), range(count), strict=False))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert read == count
        return found

    text = "word " * 400
    bring([{"prompt": f"Q {n}?", "chosen": f"{text}{n}", "rejected": f"{text}!{n}"} for n in range(600)])
    assert Judgment.objects.count() == 600
    peak(1)
    assert peak(600) < 1.5 * peak(250)


def test_prompts_demonstrations_and_responses_are_records(project, max_, ada):
    prompts = add_prompts(
        actor=max_,
        project=project,
        rows=[
            {
                "messages": [{"role": "user", "content": f"Q {n}?"}],
                "author": ada if n else None,
                "tags": ["t"],
            }
            for n in range(3)
        ],
        prompt_set=get_or_create_prompt_set(actor=max_, project=project, name="set", purpose="policy"),
    )
    (outside,) = add_prompts(
        actor=max_, project=project, rows=[{"messages": [{"role": "user", "content": "X"}]}]
    )
    for prompt in (*prompts, outside):
        add_demonstrations(actor=max_, project=project, rows=[NewDemonstration(prompt=prompt, text="A.")])
    source = get_or_create_source(actor=max_, project=project, kind="policy", name="base")
    made = add_responses(
        actor=max_,
        project=project,
        rows=[
            NewResponse(
                prompt=prompt, source=source, text="", sampling={"temperature": 1.0, "seed": 3}, ended=ended
            )
            for prompt, ended in zip(prompts, (None, False, True), strict=True)
        ],
    )
    members = project.prompt_sets.get()
    found = list(prompt_rows(project, prompt_set=members))
    assert [row["prompt_id"] for row in found] == [prompt.external_id for prompt in prompts]
    assert [row["author"] for row in found] == [None, ada.pseudonym, ada.pseudonym]
    assert len(list(prompt_rows(project))) == 4
    last, first = prompts[2].external_id, prompts[0].external_id
    assert [row["prompt_id"] for row in prompt_rows(project, prompt_ids=[last, first])] == [first, last]
    assert len(list(demonstration_rows(project))) == 4
    demonstrations = list(demonstration_rows(project, prompt_set=members))
    assert [row["prompt_id"] for row in demonstrations] == [prompt.external_id for prompt in prompts]
    responses = list(response_rows(project, response_ids=[made[1].external_id, made[2].external_id]))
    assert [row["response_id"] for row in responses] == [made[1].external_id, made[2].external_id]
    assert responses[0]["sampling"]["temperature"] == 1.0
    assert [row["ended"] for row in responses] == [False, True]
    assert len(list(response_rows(project, policy="base"))) == 3
    assert list(response_rows(project, policy="other")) == []
    for rows, schema in ((found, PROMPTS), (demonstrations, DEMONSTRATIONS), (responses, RESPONSES)):
        for row in rows:
            validate_row(row, schema, lambda: "row")
