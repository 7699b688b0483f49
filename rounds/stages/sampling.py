"""The policies answer the round's prompts; of their responses the annotators' tasks are made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.content.actions import NewResponse, add_responses, get_or_create_source
from annotation.models import Batch, Demonstration, Prompt, Response, Source
from learning.interface.options import options_to_dict
from policy_training.actions import sample_responses
from policy_training.models import Policy
from policy_training.training.config import SampleConfig, SampleOptions
from rounds.allocation import allocate_draws
from rounds.errors import RoundRefused
from rounds.head_to_head import Pairing, choose_pairings_of, evaluation_options, pairings_of
from rounds.mixed_prompts import compared_sets, draw_compared
from rounds.models import Round, RoundRun, Stage
from rounds.plans import RoundPlan
from rounds.stages.transitions import (
    all_done,
    attach_run,
    enter_stage,
    require_none_unsuccessful,
    stage_runs,
)
from rounds.steps import placeholder_source
from rounds.task_selection import (
    comparison_tasks,
    head_to_head_tasks,
    reserve_tasks,
    response_id_prefix,
    responses_of_round,
    select_prompts,
)
from workspace.models import User
from workspace.naming import unique_name


def advance_sampling(round_: Round, plan: RoundPlan) -> bool:
    runs = stage_runs(round_, Stage.SAMPLING)
    if not runs:
        _start_sampling(round_, plan)
        return True
    require_none_unsuccessful(runs)
    if not all_done(runs):
        return False
    _open_annotation(round_, plan)
    return True


def sampling_policies(round_: Round, plan: RoundPlan) -> list[Policy]:
    names = plan.sampling.other_policies
    other_policies = Policy.objects.filter(project=round_.project, name__in=names)
    return [round_.start_policy, *other_policies.exclude(pk=round_.start_policy_id).order_by("pk")]


def _start_sampling(round_: Round, plan: RoundPlan) -> None:
    pairings = choose_pairings_of(round_, plan)
    paired = {prompt.pk for pairing in pairings for prompt in pairing.prompts}
    shares: list[dict[str, Any]] = []
    if plan.sampling.mixture:
        drawn = draw_compared(round_.project, plan, without=paired)
        found = Prompt.objects.in_bulk([prompt.pk for prompt in drawn.prompts])
        prompts, shares = [found[prompt.pk] for prompt in drawn.prompts], drawn.shares
    else:
        prompts = select_prompts(
            round_.project, round_.prompt_set, max(1, plan.sampling.prompts - len(paired)), without=paired
        )
    if not prompts:
        raise RoundRefused(
            f"The prompt set “{round_.prompt_set.name}” is empty: bring prompts in with `manage.py import_prompts`.",
            code="no_prompts",
        )
    _sample_for_tasks(round_, plan, prompts, shares)
    _sample_for_pairs(round_, plan, pairings)


def _sample_for_tasks(
    round_: Round, plan: RoundPlan, prompts: Sequence[Prompt], shares: Sequence[Mapping[str, Any]]
) -> None:
    policies = sampling_policies(round_, plan)
    temperatures = plan.sampling.options.temperatures
    draws: list[list[Counter[float]]] = [[Counter() for _ in prompts] for _ in policies]
    sizes = plan.sampling.task_sizes(len(prompts))
    allocation = allocate_draws(policies=len(policies), temperatures=len(temperatures), sizes=sizes)
    for number, prompt_draws in enumerate(allocation):
        for draw in prompt_draws:
            draws[draw.policy][number][temperatures[draw.temperature]] += 1
    for policy, own in zip(policies, draws, strict=True):
        # Fewer prompts than policies: some are not asked. The start policy is always the first to be asked.
        if any(own):
            _queue_sampling(round_, plan, policy, prompts, plan.sampling.options, draws=own, shares=shares)


def _sample_for_pairs(round_: Round, plan: RoundPlan, pairings: Sequence[Pairing]) -> None:
    """A run of its own for every policy: these answers are drawn otherwise than those people rank."""
    options = evaluation_options(plan)
    start, all_prompts = round_.start_policy, [prompt for pairing in pairings for prompt in pairing.prompts]
    requests = [(start, all_prompts)]
    requests += [(p.opponent.policy, p.prompts) for p in pairings if p.opponent.policy is not None]
    for policy, prompts in requests:
        if prompts:
            _queue_sampling(round_, plan, policy, prompts, options, purpose=RoundRun.Purpose.HEAD_TO_HEAD)
    round_.head_to_head = [pairing.record for pairing in pairings]
    round_.save(update_fields=["head_to_head"])


def _queue_sampling(
    round_: Round,
    plan: RoundPlan,
    policy: Policy,
    prompts: Sequence[Prompt],
    options: SampleOptions,
    *,
    draws: Sequence[Mapping[float, int]] | None = None,
    shares: Sequence[Mapping[str, Any]] = (),
    purpose: str = RoundRun.Purpose.STAGE,
) -> None:
    config = SampleConfig(policy=placeholder_source(), sampling=options, runtime=plan.policy.runtime)
    run = sample_responses(
        actor=round_.started_by,
        project=round_.project,
        policy=policy,
        prompts=prompts,
        config=options_to_dict(config),
        id_prefix=response_id_prefix(round_, policy, purpose),
        draws=draws,
        shares=shares,
        processes=plan.processes,
        kind_of_prompts="held-out prompts" if purpose == RoundRun.Purpose.HEAD_TO_HEAD else "prompts",
    )
    attach_run(round_, run, policy, purpose)


def _open_annotation(round_: Round, plan: RoundPlan) -> None:
    prompts, sizes = sampled_prompts(round_, plan)
    sources = {policy.source_id for policy in sampling_policies(round_, plan)}
    comparisons = comparison_tasks(
        prompts,
        [response for response in responses_of_round(round_) if response.source_id in sources],
        sizes,
    )
    if not comparisons.tasks:
        raise RoundRefused(
            "The policy gave the same answer every time to each prompt: nothing to compare. Sample at a higher "
            "temperature or from more policies.",
            code="nothing_to_compare",
        )
    head_to_head = _pairs(round_)
    people = list(User.objects.filter(username__in=plan.annotation.reserved_for).order_by("username"))
    tasks, reserved = reserve_tasks(
        _interleave(head_to_head, comparisons.tasks), people, plan.annotation.reserved_tasks_per_person
    )
    batch = _create_batch(round_, plan, name=f"Round {round_.number}", priority=0)
    add_tasks(actor=round_.started_by, batch=batch, tasks=tasks)
    # The plan may ask for more judgments than the tasks have room for.
    open_batch(actor=round_.started_by, batch=batch, max_quota=plan.annotation.quota)
    for person, own_tasks in reserved.items():
        if not own_tasks:
            continue
        reserved_batch = _create_batch(
            round_, plan, name=f"Round {round_.number}, reserved for {person.username}", priority=1
        )
        add_tasks(actor=round_.started_by, batch=reserved_batch, tasks=own_tasks)
        open_batch(actor=round_.started_by, batch=reserved_batch)
    max_hours = plan.annotation.max_hours
    deadline = timezone.now() + timedelta(hours=max_hours) if max_hours else None
    reason = "; ".join(
        filter(None, (f"{len(tasks)} tasks are ready", comparisons.sentence, _equal_pairs_sentence(round_)))
    )
    enter_stage(
        round_,
        Stage.ANNOTATING,
        reason,
        batch=batch,
        annotation_deadline=deadline,
        head_to_head=round_.head_to_head,
    )


def _pairs(round_: Round) -> list[NewTask]:
    """The head-to-head tasks; how many answers were equal is recorded with the round."""
    own = responses_of_round(round_, purpose=RoundRun.Purpose.HEAD_TO_HEAD, policy=round_.start_policy)
    tasks = []
    for record, pairing in zip(round_.head_to_head, pairings_of(round_), strict=True):
        if pairing.opponent.policy is None:
            others = _reference_responses(round_, pairing.prompts)
        else:
            others = responses_of_round(
                round_, purpose=RoundRun.Purpose.HEAD_TO_HEAD, policy=pairing.opponent.policy
            )
        pairs, record["equal"] = head_to_head_tasks(pairing.prompts, own, others)
        tasks += pairs
    return tasks


def _equal_pairs_sentence(round_: Round) -> str:
    """Head-to-head pairs nobody is shown; empty when there are none."""
    equal = sum(record["equal"] for record in round_.head_to_head)
    pairs = "pair" if equal == 1 else "pairs"
    return f"{equal} head-to-head {pairs} left out, both answers being the same" if equal else ""


def _reference_responses(round_: Round, prompts: Sequence[Prompt]) -> list[Response]:
    """What people wrote to these prompts, as responses; the first demonstration of each."""
    source = get_or_create_source(
        actor=round_.started_by,
        project=round_.project,
        kind=Source.Kind.REFERENCE,
        name="demonstrations",
    )
    first: dict[int, Demonstration] = {}
    for demonstration in Demonstration.objects.filter(
        project=round_.project, prompt__in=[prompt.pk for prompt in prompts]
    ).order_by("pk"):
        first.setdefault(demonstration.prompt_id, demonstration)
    return add_responses(
        actor=round_.started_by,
        project=round_.project,
        rows=[
            NewResponse(
                prompt=prompt,
                source=source,
                text=first[prompt.pk].response_text,
                turns=first[prompt.pk].turns,
                response_id=f"demonstration-{first[prompt.pk].pk}",
            )
            for prompt in prompts
            if prompt.pk in first  # it may have been taken back meanwhile
        ],
    )


def sampled_prompts(round_: Round, plan: RoundPlan) -> tuple[list[Prompt], list[int]]:
    """The round's prompts in the order they were asked, and how many answers each was asked for in all; without those
    that were taken out of the set meanwhile.
    """
    link = (
        round_.round_runs.filter(
            stage=Stage.SAMPLING, policy=round_.start_policy, purpose=RoundRun.Purpose.STAGE
        )
        .select_related("run")
        .get()
    )
    sets = compared_sets(round_.project, round_.prompt_set, plan)
    in_set = {prompt.external_id: prompt for prompt in Prompt.objects.filter(prompt_sets__in=sets).distinct()}
    asked = link.run.parameters["prompt_ids"]
    sized = [
        (in_set[prompt_id], size)
        for prompt_id, size in zip(asked, plan.sampling.task_sizes(len(asked)), strict=True)
        if prompt_id in in_set
    ]
    return [prompt for prompt, _ in sized], [size for _, size in sized]


def _interleave(head_to_head: list[NewTask], tasks: list[NewTask]) -> list[NewTask]:
    """Head-to-head pairs spread evenly among the others: an annotator cannot tell them by their place."""
    if not head_to_head:
        return tasks
    merged = list(tasks)
    gap = (len(tasks) + len(head_to_head)) / len(head_to_head)
    for index, task in enumerate(head_to_head):
        merged.insert(min(len(merged), round(index * gap)), task)
    return merged


def _create_batch(round_: Round, plan: RoundPlan, *, name: str, priority: int) -> Batch:
    return create_batch(
        actor=round_.started_by,
        project=round_.project,
        criterion=round_.criterion,
        name=unique_name(Batch.objects.filter(project=round_.project), name),
        responses_per_task=plan.sampling.responses_per_task,
        overlap=plan.annotation.overlap,
        priority=priority,
        round_number=round_.number,
    )
