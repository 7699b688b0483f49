"""The policies answer the round's prompts; of their responses the annotators' tasks are made."""

from collections import Counter
from datetime import timedelta

from django.utils import timezone

from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch
from annotation.models import Batch, Prompt
from learning.interface.options import options_to_dict
from policy_training.actions import sample_responses
from policy_training.models import Policy
from policy_training.training.config import SampleConfig
from rounds.allocation import allocate_draws
from rounds.errors import RoundRefused
from rounds.models import Round, Stage
from rounds.plans import RoundPlan, placeholder_source
from rounds.stages.transitions import (
    all_done,
    attach_run,
    enter_stage,
    require_none_unsuccessful,
    stage_runs,
)
from rounds.task_selection import (
    comparison_tasks,
    head_to_head_count,
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
    other_policies = list(
        Policy.objects.filter(project=round_.project, name__in=names).exclude(pk=round_.start_policy_id)
    )
    return [round_.start_policy, *other_policies]


def _start_sampling(round_: Round, plan: RoundPlan) -> None:
    prompts = select_prompts(round_.project, round_.prompt_set, plan.sampling.prompts)
    if not prompts:
        raise RoundRefused(
            f"The prompt set “{round_.prompt_set.name}” is empty: bring prompts in with `manage.py import_prompts`.",
            code="no_prompts",
        )
    policies = sampling_policies(round_, plan)
    temperatures = plan.sampling.options.temperatures
    draws: dict[Policy, list[Counter[float]]] = {policy: [Counter() for _ in prompts] for policy in policies}
    n_head_to_head = 0
    if round_.comparison_policy is not None:
        n_head_to_head = head_to_head_count(plan, len(prompts))
        for policy in (round_.start_policy, round_.comparison_policy):
            own = draws.setdefault(policy, [Counter() for _ in prompts])
            for number in range(n_head_to_head):
                own[number][temperatures[0]] += 1
    sizes = plan.sampling.task_sizes(len(prompts) - n_head_to_head)
    allocation = allocate_draws(policies=len(policies), temperatures=len(temperatures), sizes=sizes)
    for number, prompt_draws in enumerate(allocation, start=n_head_to_head):
        for draw in prompt_draws:
            draws[policies[draw.policy]][number][temperatures[draw.temperature]] += 1
    config = SampleConfig(
        policy=placeholder_source(), sampling=plan.sampling.options, runtime=plan.policy.runtime
    )
    for policy, own in draws.items():
        # Fewer prompts than policies: some are not asked. The start policy is always the first to be asked.
        if not any(own):
            continue
        run = sample_responses(
            actor=round_.started_by,
            project=round_.project,
            policy=policy,
            prompts=prompts,
            config=options_to_dict(config),
            id_prefix=response_id_prefix(round_, policy),
            draws=own,
        )
        attach_run(round_, run, policy)


def _open_annotation(round_: Round, plan: RoundPlan) -> None:
    responses = responses_of_round(round_)
    prompts = sampled_prompts(round_)
    head_to_head: list[NewTask] = []
    n_head_to_head = 0
    if round_.comparison_policy is not None:
        n_head_to_head = head_to_head_count(plan, len(prompts))
        head_to_head = head_to_head_tasks(
            prompts[:n_head_to_head], responses, round_.start_policy, round_.comparison_policy
        )
    sources = {policy.source_id for policy in sampling_policies(round_, plan)}
    others = prompts[n_head_to_head:]
    comparisons = comparison_tasks(
        others,
        [response for response in responses if response.source_id in sources],
        plan.sampling.task_sizes(len(others)),
    )
    if not comparisons.tasks:
        raise RoundRefused(
            "The policy gave the same answer every time to each prompt: nothing to compare. Sample at a higher "
            "temperature or from more policies.",
            code="nothing_to_compare",
        )
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
            round_, plan, name=f"Round {round_.number}, kept for {person.username}", priority=1
        )
        add_tasks(actor=round_.started_by, batch=reserved_batch, tasks=own_tasks)
        open_batch(actor=round_.started_by, batch=reserved_batch)
    max_hours = plan.annotation.max_hours
    deadline = timezone.now() + timedelta(hours=max_hours) if max_hours else None
    reason = "; ".join(filter(None, (f"{len(tasks)} tasks are ready", comparisons.sentence)))
    enter_stage(round_, Stage.ANNOTATING, reason, batch=batch, annotation_deadline=deadline)


def sampled_prompts(round_: Round) -> list[Prompt]:
    """The round's prompts in the order they were asked."""
    link = (
        round_.round_runs.filter(stage=Stage.SAMPLING, policy=round_.start_policy).select_related("run").get()
    )
    prompts = {prompt.external_id: prompt for prompt in round_.prompt_set.prompts.all()}
    return [prompts[prompt_id] for prompt_id in link.run.parameters["prompt_ids"] if prompt_id in prompts]


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
