"""Which judgments of a file the project has already, and which are of a task that it has.

Equal is: the same criterion, prompt, responses, annotator, order and strengths (of a
rating: its marks). As often as the project has a judgment,
so often it is known; the file's further copies are new. Row ids and further columns are not compared: the same pairs
come with other ids after a conversion, and with none at all.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from annotation.importing.digests import answer_digest, question_digest, verdict_digest
from annotation.importing.report import ImportRefused, ImportReport
from annotation.importing.staging import Staging
from annotation.models import Batch, Import, Judgment, PromptSet, Task, TaskResponse
from workspace.models import MAX_OVERLAP, Criterion


def match_known_rows(
    staging: Staging, criterion: Criterion, report: ImportReport, *, again: bool
) -> Counter[str]:
    """Takes out the judgments that are known, unless `again`, and gives those of known tasks their task.

    Returns how many are known, by batch; the report notes what counts twice. Call it when pseudonyms are resolved.
    """
    # Where nothing has been judged by this criterion, nothing is known.
    if Batch.objects.filter(criterion=criterion, visible=True).exists():
        for contents in staging.prompt_contents():
            _load(staging, criterion, contents)
    known, judged_otherwise = staging.place_known_rows(drop=not again)
    if repeats := staging.count_repeats():
        report.notes.append(
            f"{repeats} judgment{' repeats' if repeats == 1 else 's repeat'} another one of the file, annotator, order "
            "and strengths included: each counts."
        )
    if judged_otherwise:
        verb = " is" if judged_otherwise == 1 else "s are"
        report.notes.append(
            f"{judged_otherwise} judgment{verb} of a task that the same annotator has judged already, with another "
            "order or strength: each counts, unless the earlier import is taken back."
        )
    return known


def _load(staging: Staging, criterion: Criterion, contents: Sequence[str]) -> None:
    """What the project has been asked and answered about these prompts."""
    tasks = {
        task.pk: task
        for task in Task.objects.filter(
            # Named, or no index serves: the criterion says it already.
            prompt__project=criterion.project_id,
            prompt__content_hash__in=contents,
            batch__criterion=criterion,
            batch__visible=True,
        ).select_related("prompt", "batch__from_import")
    }
    responses: dict[int, list[TaskResponse]] = defaultdict(list)
    for shown in TaskResponse.objects.filter(task__in=tasks).select_related("response"):
        responses[shown.task_id].append(shown)
    judgments: dict[int, list[Judgment]] = defaultdict(list)
    for judgment in Judgment.objects.current().filter(task__in=tasks).select_related("annotator"):
        judgments[judgment.task_id].append(judgment)
    for pk, task in tasks.items():
        answers = {shown.response_id: answer_digest(shown.response.answer) for shown in responses[pk]}
        question = question_digest(task.prompt.content_hash, answers.values())
        prompt_id = task.prompt.external_id
        response_ids = sorted(shown.response.external_id for shown in responses[pk])
        for judgment in judgments[pk]:
            rank = {response: tier for tier, members in enumerate(judgment.tiers) for response in members}
            ranked = [(answers[response], place) for response, place in rank.items()]
            verdict = verdict_digest(question, ranked, judgment.strengths, judgment.marks.values())
            staging.add_known_verdict(
                verdict,
                judgment.annotator.pseudonym,
                _name(task.batch),
                prompt_id=prompt_id,
                response_ids=response_ids,
            )
        if _may_be_joined(task):
            staging.add_known_task(
                pk,
                question,
                prompt_id=prompt_id,
                response_ids=response_ids,
                annotators=[judgment.annotator.pseudonym for judgment in judgments[pk]],
                room=MAX_OVERLAP - task.required_judgments,
            )


def _may_be_joined(task: Task) -> bool:
    """Tasks of finished judgments from files; what people are asked here has its own number of people."""
    imported = task.batch.from_import
    return (
        task.purpose == Task.Purpose.NORMAL
        and task.batch.state == Batch.State.CLOSED
        and imported is not None
        and imported.kind == Import.Kind.COMPARISONS
        and imported.state == Import.State.DONE
    )


def _name(batch: Batch) -> str:
    return f"“{batch.name}”" + " (excluded from datasets)" * batch.excluded


def _known_judgments_sentence(known: Counter[str], judgments: int) -> str:
    """“12 of 20 judgments are in the batch “X” already”."""
    number = known.total()
    batches = " and ".join(known)
    return (
        f"{number} of {judgments} judgment{'' if judgments == 1 else 's'} {'is' if number == 1 else 'are'} in the "
        f"batch{'' if len(known) == 1 else 'es'} {batches} already"
    )


def say_known_judgments(report: ImportReport, known: Counter[str], new: int) -> None:
    """Raises ImportRefused when nothing is new."""
    if known.total():
        sentence = _known_judgments_sentence(known, known.total() + new)
        if not new:
            refused = ImportRefused(
                f"{sentence}: nothing was imported; --again imports them once more.", code="known_rows"
            )
            refused.report = report
            raise refused
        report.notes.append(f"{sentence} and left out; --again imports them once more.")
    elif not new:
        raise ImportRefused(f"{report.file} has no judgment that counts: nothing to import.", code="no_rows")


def say_known_rows(
    report: ImportReport, what: str, members: PromptSet, *, distinct: int, new: int, again: bool
) -> None:
    """What a file repeats, and what was there before it. Raises ImportRefused when nothing is new."""
    if repeats := report.good - distinct:
        verb = "repeats a" if repeats == 1 else "repeat a"
        report.notes.append(f"{repeats} row{'' if repeats == 1 else 's'} {verb} {what} of the file.")
    known = distinct - new
    if not known or again:
        return
    # A prompt is in a set once; demonstrations may come again.
    is_prompt = what == "prompt"
    place = f"prompt set “{members.name}”" if is_prompt else "project"
    once_more = "" if is_prompt else "; --again imports them once more"
    verb = "is" if known == 1 else "are"
    sentence = f"{known} of {distinct} {what}{'' if distinct == 1 else 's'} {verb} in the {place} already"
    if not new:
        refused = ImportRefused(f"{sentence}: nothing was imported{once_more}.", code="known_rows")
        refused.report = report
        raise refused
    report.notes.append(f"{sentence} and left out{once_more}.")
