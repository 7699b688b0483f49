"""An import taken back as a whole: what goes, what stays, and when it stays altogether."""

import pytest

from annotation.content.actions import get_or_create_prompt_set
from annotation.datasets.actions import NoJudgments, freeze_dataset
from annotation.datasets.files import dataset_comparisons
from annotation.importing.actions import import_comparisons, take_back_import
from annotation.importing.contents.actions import import_demonstrations, import_prompts
from annotation.importing.report import ImportRefused
from annotation.importing.usage import mark_demonstrations_used, mark_prompts_used
from annotation.models import (
    Batch,
    Demonstration,
    Import,
    Judgment,
    Prompt,
    PromptSet,
    PromptSetMember,
    Response,
    Task,
)
from annotation.queue.counters import find_counter_drift
from annotation.record_columns import judgment_rows
from annotation.records import demonstration_rows, prompt_rows, response_rows
from annotation.writing.works import open_work
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def pairs(numbers, **fields):
    return [{"prompt": f"Q {n}?", "chosen": "yes", "rejected": "no"} | fields for n in numbers]


@pytest.fixture
def bring(project, max_, write_rows):
    def bring(rows, name="rows.jsonl", what=import_comparisons, **options):
        options = ({"format": "trl"} if what is import_comparisons else {}) | options
        made = what(actor=max_, project=project, path=write_rows(rows, name), **options)
        report = made[1] if isinstance(made, tuple) else made
        return Import.objects.get(pk=report.import_id)

    return bring


def readable(project):
    """How many rows of each kind readers find."""
    return [
        len(list(rows))
        for rows in (
            judgment_rows(project), prompt_rows(project), demonstration_rows(project), response_rows(project),
        )
    ] + [Judgment.objects.counted().count(), project.batches.filter(visible=True).count()]  # fmt: skip


def test_an_import_says_who_brought_which_file(bring, max_, write_rows):
    import hashlib

    imported = bring(pairs(range(3)), "wave 1.jsonl")
    path = write_rows(pairs(range(3)), "copy.jsonl")
    assert imported.files == [
        {"name": "wave 1.jsonl", "bytes": path.stat().st_size,
         "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    ]  # fmt: skip
    assert (imported.actor, imported.kind, imported.format, imported.state) == (
        max_, "comparisons", "trl", "done",
    )  # fmt: skip
    assert imported.counts == {"judgments": 3, "tasks": 3, "annotators": 1}
    for rows in (imported.judgments, imported.prompts):
        assert rows.count() == 3


def test_comparisons_go_as_if_they_had_never_come_and_can_come_again(bring, project, max_):
    kept = bring(pairs(range(2)), "kept.jsonl")
    before = readable(project)
    wrong = bring([row | {"chosen": "no", "rejected": "yes"} for row in pairs(range(5, 9))], "wave.jsonl")
    hidden = take_back_import(actor=max_, imported=wrong)
    assert hidden == {"judgments": 4, "tasks": 4, "responses": 8, "prompts": 4}
    assert readable(project) == before == [2, 2, 0, 4, 2, 1]
    wrong.refresh_from_db()
    assert (wrong.state, wrong.taken_back_by) == ("taken_back", max_)
    assert AuditEvent.objects.get(action="import.take_back").details["judgments"] == 4
    # Nothing was deleted: the record of what was imported stays.
    assert Judgment.objects.filter(from_import=wrong).count() == 4
    assert find_counter_drift(project=project) == []
    right = bring(pairs(range(5, 9)), "wave.jsonl")
    assert right.batches.get().name == "wave.jsonl"
    assert readable(project) == [6, 6, 0, 12, 6, 2]
    assert kept.state == "done"


def test_once_a_dataset_was_frozen_with_it_an_import_stays(bring, project, max_):
    used = bring(pairs([1]), "used.jsonl")
    freeze_dataset(actor=max_, project=project, name="wave 1")
    later = bring(pairs([2]), "later.jsonl")
    with pytest.raises(ImportRefused) as refused:
        take_back_import(actor=max_, imported=used)
    assert refused.value.message == (
        f"Import {used.pk} (used.jsonl) stays: the dataset “wave 1” was made with it; exclude its batch from future "
        "datasets instead."
    )
    assert refused.value.code == "import_in_use"
    take_back_import(actor=max_, imported=later)
    with pytest.raises(ImportRefused, match="was taken back already"):
        take_back_import(actor=max_, imported=later)
    assert readable(project)[0] == 1


def test_a_dataset_keeps_only_the_imports_that_are_in_it(bring, project, max_):
    machine = bring([pairs([1])[0] | {"annotator": "judge"}], "machine.jsonl")
    other = bring(pairs([2]), "other.jsonl")
    freeze_dataset(actor=max_, project=project, batches=list(other.batches.all()))
    assert take_back_import(actor=max_, imported=machine)["judgments"] == 1


def test_prompts_and_demonstrations_go_and_their_ids_are_free(bring, project, max_):
    rows = [{"prompt_id": "p1", "prompt": "Q 1?"}, {"prompt_id": "p2", "prompt": "Q 2?"}]
    wrong = bring(rows, "prompts.jsonl", import_prompts, prompt_set="policy", purpose="evaluation")
    take_back_import(actor=max_, imported=wrong)
    assert not Prompt.objects.exists()
    assert not PromptSet.objects.exists()
    changed = [row | {"prompt": row["prompt"] + " Why?"} for row in rows]
    right = bring(changed, "prompts.jsonl", import_prompts, prompt_set="policy")
    assert PromptSet.objects.get().purpose == "policy"
    demonstrations = [{"prompt": "Q 9?", "response": "A."}]
    wrong = bring(demonstrations, "sft.jsonl", import_demonstrations)
    assert readable(project)[1:3] == [3, 1]
    assert take_back_import(actor=max_, imported=wrong) == {"demonstrations": 1, "prompts": 1}
    assert readable(project)[1:3] == [2, 0]
    bring(demonstrations, "sft.jsonl", import_demonstrations)
    assert Demonstration.objects.count() == 1
    assert Prompt.objects.filter(from_import=right).count() == 2


def test_what_something_else_uses_by_now_stays(bring, project, max_):
    prompts = bring([{"prompt": "Q 1?"}, {"prompt": "Q 2?"}], "prompts.jsonl", import_prompts)
    bring(pairs([1]))
    hidden = take_back_import(actor=max_, imported=prompts)
    assert hidden == {"prompts": 1, "prompts that something else uses stay": 1}
    assert [prompt.messages[0]["content"] for prompt in Prompt.objects.all()] == ["Q 1?"]
    assert readable(project)[0] == 1


def test_prompts_that_somebody_answers_stay(bring, project, max_):
    prompts = bring([{"prompt": "Q 1?"}, {"prompt": "Q 2?"}], "prompts.jsonl", import_prompts)
    answered = get_or_create_prompt_set(actor=max_, project=project, name="answered", purpose="sft")
    first = Prompt.objects.order_by("pk").first()
    PromptSetMember.objects.create(prompt_set=answered, prompt=first, from_import=prompts)
    open_work(actor=max_, project=project, name="Answers", kind="answer", prompt_set=answered)
    hidden = take_back_import(actor=max_, imported=prompts)
    assert hidden == {"prompts": 1, "prompts that something else uses stay": 1}
    first.refresh_from_db()
    assert not first.taken_back


@pytest.mark.parametrize("which", ["first", "second"])
def test_of_two_imports_that_met_in_one_task_one_goes_and_the_other_stays(bring, project, max_, which):
    imports = {
        "first": bring(pairs(range(3), annotator="ann"), "ann.jsonl"),
        "second": bring(pairs(range(2), annotator="bo"), "bo.jsonl"),
    }
    assert Task.objects.count() == 3
    take_back_import(actor=max_, imported=imports[which])
    rows = list(judgment_rows(project))
    stays = {"first": ["bo"] * 2, "second": ["ann"] * 3}[which]
    assert [row["annotator"] for row in rows] == stays
    assert find_counter_drift(project=project) == []
    assert Response.objects.count() == 2 * len(stays)
    batch = Batch.objects.get(visible=True)
    assert batch.from_import == imports["second" if which == "first" else "first"]
    assert batch.quota == len(stays)
    # What was taken back comes in again, the right way round, and meets the other once more.
    who = {"first": "ann", "second": "bo"}[which]
    swapped = [row | {"chosen": "no", "rejected": "yes"} for row in pairs(range(2), annotator=who)]
    bring(swapped, "again.jsonl")
    consensus = list(dataset_comparisons(freeze_dataset(actor=max_, project=project), consensus=True))
    assert sorted(row["agreement"] for row in consensus if row["n_annotators"] == 2) == [0.0, 0.0]
    assert find_counter_drift(project=project) == []


def test_nothing_is_left_to_freeze_when_all_was_taken_back(bring, project, max_):
    take_back_import(actor=max_, imported=bring(pairs([1])))
    with pytest.raises(NoJudgments):
        freeze_dataset(actor=max_, project=project)


def test_what_a_run_or_a_round_read_stays(bring, project, max_):
    prompts = bring([{"prompt": "Q 1?"}], "prompts.jsonl", import_prompts)
    demonstrations = bring([{"prompt": "Q 2?", "response": "A."}], "sft.jsonl", import_demonstrations)
    mark_prompts_used(PromptSet.objects.get(name="prompts"), "a round")
    with pytest.raises(ImportRefused, match=r"\(prompts.jsonl\) stays: a round was made with it\."):
        take_back_import(actor=max_, imported=prompts)
    mark_demonstrations_used(project, "run 7")
    with pytest.raises(ImportRefused, match=r"\(sft.jsonl\) stays: run 7 was made with it\."):
        take_back_import(actor=max_, imported=demonstrations)
