"""Which prompts a round samples, and which pairs and rankings of the responses become tasks."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from annotation.batches.actions import NewTask
from annotation.models import Prompt, PromptSet, Response, Task
from policy_training.models import Policy
from rounds.models import Round
from rounds.plans import RoundPlan, SamplingPlan
from workspace.models import Project, User


def select_prompts(project: Project, prompt_set: PromptSet, count: int) -> list[Prompt]:
    """Prompts that no earlier round sampled; when these run out, the others again.

    The order is a hash of the project's salt: stable over restarts, and not the order of the file.
    """
    prompts = list(prompt_set.prompts.all())
    used_pks = set(
        Task.objects.filter(batch__project=project, batch__round_number__isnull=False).values_list(
            "prompt_id", flat=True
        )
    )

    def sort_key(prompt: Prompt) -> str:
        return hashlib.sha256(f"{project.split_salt}:round:{prompt.external_id}".encode()).hexdigest()

    unused = sorted((prompt for prompt in prompts if prompt.pk not in used_pks), key=sort_key)
    used = sorted((prompt for prompt in prompts if prompt.pk in used_pks), key=sort_key)
    return (unused + used)[:count]


def samples_per_policy(sampling: SamplingPlan, policies: int) -> int:
    """Samples per prompt from each policy and temperature, so that a task has its K responses."""
    return -(-sampling.responses_per_task // (policies * len(sampling.options.temperatures)))


def head_to_head_count(plan: RoundPlan, prompts: int) -> int:
    return round(plan.annotation.head_to_head_share * prompts)


def comparison_tasks(prompts: Sequence[Prompt], responses: Sequence[Response], k: int) -> list[NewTask]:
    """One task per prompt with K different texts; a prompt whose samples repeat each other is left out.

    The responses are taken from the sources round-robin, so that K responses of two policies hold
    both of them.
    """
    by_prompt: dict[int, dict[str, list[Response]]] = defaultdict(lambda: defaultdict(list))
    for response in responses:
        temperature = (response.sampling or {}).get("temperature")
        by_prompt[response.prompt_id][f"{response.source_id}:{temperature}"].append(response)
    tasks = []
    for prompt in prompts:
        selected = _round_robin(by_prompt[prompt.pk], k)
        if len(selected) == k:
            tasks.append(NewTask(prompt=prompt, responses=selected))
    return tasks


def _round_robin(groups: Mapping[str, Sequence[Response]], k: int) -> list[Response]:
    queues = [list(group) for _, group in sorted(groups.items())]
    by_text: dict[str, Response] = {}
    while len(by_text) < k and any(queues):
        for queue in queues:
            if queue and len(by_text) < k:
                response = queue.pop(0)
                by_text.setdefault(response.text.strip(), response)
    return list(by_text.values())


def head_to_head_tasks(
    prompts: Sequence[Prompt], responses: Sequence[Response], new: Policy, old: Policy
) -> list[NewTask]:
    """The new policy's first response against the old one's, on the same prompt."""
    first_responses: dict[tuple[int, int], Response] = {}
    for response in responses:
        first_responses.setdefault((response.prompt_id, response.source_id), response)
    tasks = []
    for prompt in prompts:
        pair = [first_responses.get((prompt.pk, policy.source_id)) for policy in (new, old)]
        present = [response for response in pair if response is not None]
        if len(present) == 2 and present[0].text.strip() != present[1].text.strip():
            tasks.append(NewTask(prompt=prompt, responses=present, purpose=Task.Purpose.HEAD_TO_HEAD))
    return tasks


def responses_of_round(round_: Round) -> list[Response]:
    """What the round's sampling brought, in the order of sampling."""
    prefix = response_id_prefix(round_)
    return list(
        Response.objects.filter(project=round_.project, external_id__startswith=prefix)
        .select_related("source")
        .order_by("pk")
    )


def response_id_prefix(round_: Round, policy: Policy | None = None) -> str:
    """Ids of responses begin with the round, so that a prompt sampled in two rounds has two sets of responses."""
    prefix = f"round{round_.number}-{round_.pk}-"
    return prefix if policy is None else f"{prefix}{policy.pk}-"


def reserve_tasks(
    tasks: list[NewTask], people: Sequence[User], per_person: int
) -> tuple[list[NewTask], dict[User, list[NewTask]]]:
    """Split off `per_person` tasks for each person from the end; never more than half of those left."""
    reserved: dict[User, list[NewTask]] = {}
    for person in people:
        count = min(per_person, len(tasks) // 2)
        reserved[person] = [
            NewTask(prompt=task.prompt, responses=task.responses, purpose=task.purpose, reserved_for=person)
            for task in tasks[len(tasks) - count :]
        ]
        tasks = tasks[: len(tasks) - count]
    return tasks, reserved
