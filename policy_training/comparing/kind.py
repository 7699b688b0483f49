"""The run kind of policies beside each other: answers, scores, verdicts, and batches that people compare them in."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext, gettext_noop

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import NewResponse, add_responses, get_or_create_source
from annotation.models import Demonstration, Prompt, Response, Source, Task
from annotation.records import prompt_rows
from learning.interface.messages import answer_key
from learning.interface.model_servers import VARIABLES as MODEL_SERVER_VARIABLES
from learning.interface.record_files import read_records
from learning.interface.record_schemas import GIVEN_ANSWERS, PROMPTS, SAMPLED_RESPONSES
from policy_training.judging.kind import response_text
from policy_training.models import Policy, PolicyComparison
from policy_training.training.evaluation.config import ComparePoliciesConfig
from rewardmodel.models import RewardModel
from runs.models import Run
from runs.run_kinds import RunKind
from workspace.errors import ActionError
from workspace.models import Criterion
from workspace.naming import unique_name

REFERENCE = "reference"  # demonstrations: what people wrote
CHECKPOINT = "checkpoint"  # of the training that started from the policy
OUTSIDE = "outside"  # a model that a server has, by what it calls it
# Of an other that people compare, in a comparison's report: how many pairs nobody was shown, since both answers are the
# same.
EQUAL_ANSWERS = "equal_answers"


def given_answers(
    run_prompts: Sequence[Prompt], other: Mapping[str, Any]
) -> dict[int, Response | Demonstration]:
    """Prompt key -> its first answer of a person (a demonstration) or of a source of files."""
    keys = [prompt.pk for prompt in run_prompts]
    found: dict[int, Response | Demonstration] = {}
    rows: Any
    if other["kind"] == REFERENCE:
        rows = Demonstration.objects.filter(prompt__in=keys)
    else:
        rows = Response.objects.filter(prompt__in=keys, source=other["source"], taken_back=False)
    for row in rows.order_by("pk"):
        found.setdefault(row.prompt_id, row)
    return found


def learned_criteria(model: RewardModel) -> str:
    """The criteria that a reward model scores on, all with one number."""
    return ", ".join(sorted(criterion.name for criterion in model.criteria.all()))


def _text(answer: Response | Demonstration) -> str:
    return answer.response_text if isinstance(answer, Demonstration) else response_text(answer)


def _prompts(run: Run) -> list[Prompt]:
    """In the run's order, without those whose import was taken back meanwhile."""
    ids = run.parameters["prompt_ids"]
    rows = {
        prompt.external_id: prompt
        for prompt in Prompt.objects.filter(project=run.project, external_id__in=ids)
    }
    return [rows[prompt_id] for prompt_id in ids if prompt_id in rows]


def _inputs(run: Run) -> Mapping[str, Any]:
    prompts = _prompts(run)
    if not prompts:
        raise ActionError(gettext("All prompts of this run were taken back."), code="no_prompts")
    inputs: dict[str, Any] = {
        "prompts": (
            list(prompt_rows(run.project, prompt_ids=[prompt.external_id for prompt in prompts])),
            PROMPTS,
        )
    }
    ids = {prompt.pk: prompt.external_id for prompt in prompts}
    answers = [
        {
            "contestant": number,
            "prompt_id": ids[key],
            "text": _text(answer),
            "turns": answer.turns,
            "ended": answer.ended if isinstance(answer, Response) else None,
        }
        for number, other in enumerate(run.parameters["others"])
        if other["kind"] in (REFERENCE, "source")
        for key, answer in given_answers(prompts, other).items()
    ]
    if answers:
        inputs["answers"] = (answers, GIVEN_ANSWERS)
    return inputs


def _save(run: Run, result: Mapping[str, Any]) -> None:
    if PolicyComparison.objects.filter(produced_by=run).exists():
        return
    parameters = run.parameters
    tasks: list[NewTask] = []
    report = dict(result)
    if parameters["criteria"]:
        tasks, equal = _tasks(run)
        report["others"] = [
            {**other, EQUAL_ANSWERS: equal.get(other["name"])} for other in result.get("others", [])
        ]
    comparison = PolicyComparison.objects.create(
        project=run.project,
        policy_id=parameters["policy"],
        reward_model_id=parameters["reward_model"],
        prompt_set=parameters["prompt_set"],
        of_run_id=parameters.get("of_run"),
        produced_by=run,
        report=report,
    )
    if tasks:
        for criterion in Criterion.objects.filter(project=run.project, pk__in=parameters["criteria"]):
            comparison.batches.add(_batch(run, criterion, tasks))


def _tasks(run: Run) -> tuple[list[NewTask], dict[str, int]]:
    """Of each other that people compare the pairs of answers that differ; and by its name how many do not.

    Tasks are handed out in their order: it goes round the others from prompt to prompt, so that a batch that is judged
    in part says as much of each of them, and pairs of the same prompt are far from each other.
    """
    prompts = _prompts(run)
    policy = Policy.objects.select_related("source").get(pk=run.parameters["policy"])
    own = _responses(run, prompts, -1, policy.source)
    asked = [
        (number, other)
        for number, other in enumerate(run.parameters["others"])
        if other["kind"] != CHECKPOINT or other["step"] in run.parameters.get("people_steps", [other["step"]])
    ]
    pairs: list[list[NewTask | None]] = []
    equal: dict[str, int] = {}
    for number, other in asked:
        source = _stored_source(run, other)
        theirs = (
            _responses(run, prompts, number, source, is_outside=other["kind"] == OUTSIDE)
            if other["kind"] in ("policy", CHECKPOINT, OUTSIDE)
            else _given_responses(run, prompts, other, source)
        )
        equal[other["name"]] = 0
        pairs.append([])
        for prompt in prompts:
            pair = [found[prompt.pk] for found in (own, theirs) if prompt.pk in found]
            is_equal = len(pair) == 2 and len({answer_key(response.answer) for response in pair}) == 1
            equal[other["name"]] += is_equal
            pairs[-1].append(
                NewTask(prompt=prompt, responses=pair, purpose=Task.Purpose.HEAD_TO_HEAD)
                if len(pair) == 2 and not is_equal
                else None
            )
    tasks = [
        pairs[(place + turn) % len(pairs)][place]
        for turn in range(len(pairs))
        for place in range(len(prompts))
    ]
    return [task for task in tasks if task is not None], equal


def source_of(run: Run, other: Mapping[str, Any]) -> Source | None:
    """Whose answers they are, a checkpoint's by its run and step; None where no answer is stored yet."""
    return Source.objects.filter(project=run.project, **_source_fields(run, other)).first()


def _source_fields(run: Run, other: Mapping[str, Any]) -> dict[str, Any]:
    if "policy" in other:
        return {"policy": other["policy"]}
    if other["kind"] == "source":
        return {"pk": other["source"]}
    if other["kind"] == CHECKPOINT:
        return {
            "kind": Source.Kind.POLICY,
            "name": f"run {run.parameters['of_run']}, step {other['step']}",
        }
    if other["kind"] == OUTSIDE:
        return {"kind": Source.Kind.IMPORT, "name": other["name"]}
    return {"kind": Source.Kind.REFERENCE, "name": "demonstrations"}


def _stored_source(run: Run, other: Mapping[str, Any]) -> Source:
    found = source_of(run, other)
    if found is not None:
        return found
    return get_or_create_source(actor=run.requested_by, project=run.project, **_source_fields(run, other))


def _responses(
    run: Run, prompts: Sequence[Prompt], number: int, source: Source, *, is_outside: bool = False
) -> dict[int, Response]:
    """Of an outside model without token ids: those of its file are another model's."""
    known = {prompt.external_id: prompt for prompt in prompts}
    rows = [
        NewResponse(
            prompt=known[row["prompt_id"]],
            source=source,
            text=row["text"],
            response_id=f"comparison-{run.pk}-{row['response_id']}",
            sampling=row["sampling"],
            token_ids=None if is_outside else row["token_ids"],
            logprobs=None if is_outside else row["logprobs"],
            ended=row["ended"],
        )
        for row in read_records(run.path / "answers" / f"{number}.parquet", SAMPLED_RESPONSES)
        if row["prompt_id"] in known
    ]
    stored = add_responses(actor=run.requested_by, project=run.project, rows=rows)
    return {response.prompt_id: response for response in stored}


def _given_responses(
    run: Run, prompts: Sequence[Prompt], other: Mapping[str, Any], source: Source
) -> dict[int, Response]:
    given = given_answers(prompts, other)
    if other["kind"] != REFERENCE:
        return {key: answer for key, answer in given.items() if isinstance(answer, Response)}
    rows = [
        NewResponse(
            prompt=prompt,
            source=source,
            text=_text(given[prompt.pk]),
            turns=given[prompt.pk].turns,
            response_id=f"demonstration-{given[prompt.pk].pk}",
        )
        for prompt in prompts
        if prompt.pk in given
    ]
    stored = add_responses(actor=run.requested_by, project=run.project, rows=rows)
    return {response.prompt_id: response for response in stored}


def _batch(run: Run, criterion: Criterion, tasks: Sequence[NewTask]) -> Any:
    policy = Policy.objects.get(pk=run.parameters["policy"])
    wanted = f"{policy.name} compared, {criterion.name}"[:110]
    batch = create_batch(
        actor=run.requested_by,
        project=run.project,
        criterion=criterion,
        name=unique_name(run.project.batches.all(), wanted),
        responses_per_task=2,
        overlap=run.parameters["overlap"],
    )
    add_tasks(actor=run.requested_by, batch=batch, tasks=list(tasks))
    return open_batch(actor=run.requested_by, batch=batch)


COMPARE = RunKind(
    name="policy.compare",
    label=gettext_noop("Comparison of policies"),
    command="policy_training.training.evaluation.compare",
    build_inputs=_inputs,
    save_result=_save,
    options=ComparePoliciesConfig,
    environment=MODEL_SERVER_VARIABLES,
)
