"""Which prompts a round asks, and which pairs and rankings people will see of the answers."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from annotation.batches.actions import NewTask
from annotation.models import Prompt, PromptSet, Response, Task
from policy_training.models import Policy
from rounds.models import Round
from rounds.plans import RoundPlan, SamplingPlan
from workspace.models import Project, User


def choose_prompts(project: Project, prompt_set: PromptSet, count: int) -> list[Prompt]:
    """Prompts no earlier round asked, in an order that says nothing of when they came; when all were asked, again.

    The order is a hash of the project's salt: stable over restarts, and not the order of the file.
    """
    prompts = list(prompt_set.prompts.all())
    asked = set(
        Task.objects.filter(batch__project=project, batch__round_number__isnull=False).values_list(
            "prompt_id", flat=True
        )
    )

    def place(prompt: Prompt) -> str:
        return hashlib.sha256(f"{project.split_salt}:round:{prompt.external_id}".encode()).hexdigest()

    fresh = sorted((prompt for prompt in prompts if prompt.pk not in asked), key=place)
    again = sorted((prompt for prompt in prompts if prompt.pk in asked), key=place)
    return (fresh + again)[:count]


def samples_each(sampling: SamplingPlan, policies: int) -> int:
    """Samples a prompt from each policy and temperature, so that a task has its K responses."""
    return -(-sampling.responses_a_task // (policies * len(sampling.temperatures)))


def head_to_head_count(plan: RoundPlan, prompts: int) -> int:
    return round(plan.annotation.head_to_head_share * prompts)


def normal_tasks(prompts: Sequence[Prompt], responses: Sequence[Response], k: int) -> list[NewTask]:
    """One task a prompt with K different texts; a prompt whose samples repeat each other is left out.

    Sources take turns, so that K responses of two policies hold both of them.
    """
    by_prompt: dict[int, dict[str, list[Response]]] = defaultdict(lambda: defaultdict(list))
    for response in responses:
        temperature = (response.sampling or {}).get("temperature")
        by_prompt[response.prompt_id][f"{response.source_id}:{temperature}"].append(response)
    tasks = []
    for prompt in prompts:
        chosen = _take_turns(by_prompt[prompt.pk], k)
        if len(chosen) == k:
            tasks.append(NewTask(prompt=prompt, responses=chosen))
    return tasks


def _take_turns(groups: Mapping[str, Sequence[Response]], k: int) -> list[Response]:
    queues = [list(group) for _, group in sorted(groups.items())]
    chosen: dict[str, Response] = {}
    while len(chosen) < k and any(queues):
        for queue in queues:
            if queue and len(chosen) < k:
                response = queue.pop(0)
                chosen.setdefault(response.text.strip(), response)
    return list(chosen.values())


def head_to_head_tasks(
    prompts: Sequence[Prompt], responses: Sequence[Response], new: Policy, old: Policy
) -> list[NewTask]:
    """The new policy's first answer against the old one's, on the same prompt."""
    answers: dict[tuple[int, int], Response] = {}
    for response in responses:
        answers.setdefault((response.prompt_id, response.source_id), response)
    tasks = []
    for prompt in prompts:
        pair = [answers.get((prompt.pk, policy.source_id)) for policy in (new, old)]
        present = [response for response in pair if response is not None]
        if len(present) == 2 and present[0].text.strip() != present[1].text.strip():
            tasks.append(NewTask(prompt=prompt, responses=present, purpose=Task.Purpose.HEAD_TO_HEAD))
    return tasks


def responses_of_round(round_: Round) -> list[Response]:
    """What the round's sampling brought, in the order of sampling."""
    prefix = response_prefix(round_)
    return list(
        Response.objects.filter(project=round_.project, external_id__startswith=prefix)
        .select_related("source")
        .order_by("pk")
    )


def response_prefix(round_: Round, policy: Policy | None = None) -> str:
    """Ids of responses begin with the round, so that a prompt sampled in two rounds has two sets of answers."""
    start = f"round{round_.number}-{round_.pk}-"
    return start if policy is None else f"{start}{policy.pk}-"


def reserve(
    tasks: list[NewTask], people: Sequence[User], each: int
) -> tuple[list[NewTask], dict[User, list[NewTask]]]:
    """Split off `each` tasks a person from the end; never more than half of all."""
    kept: dict[User, list[NewTask]] = {}
    for person in people:
        count = min(each, len(tasks) // 2)
        kept[person] = [
            NewTask(prompt=task.prompt, responses=task.responses, purpose=task.purpose, reserved_for=person)
            for task in tasks[len(tasks) - count :]
        ]
        tasks = tasks[: len(tasks) - count]
    return tasks, kept
