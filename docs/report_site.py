"""The site that record_reports.py takes its pictures of: people, prompts and tasks of the demonstration's grammar.

All texts are generated, and so is whatever “people” say: nobody real is on a picture.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import transaction

from annotation.content.actions import (
    NewDemonstration,
    add_demonstrations,
    add_prompts,
    get_or_create_prompt_set,
)
from annotation.models import PromptSet
from demo import grammar
from policy_training.models import Policy
from runs.models import Run
from workspace.accounts import create_machine_annotator
from workspace.actions import create_project
from workspace.members import set_role
from workspace.models import Membership, Project, User

NAME = "Kitchen questions"
PROMPTS, EVALUATION_PROMPTS, DEMONSTRATIONS = 240, 40, 900
MACHINES = ("simulated-1", "simulated-2", "simulated-3")
PEOPLE = ("ada", "bela", "cleo")  # accounts of people, whose judgments are the simulation's, too


@dataclass
class ReportSite:
    manager: User
    project: Project
    annotators: list[User]
    people: list[User]
    policy_prompts: PromptSet
    held_out: PromptSet
    runs: dict[str, Run] = field(default_factory=dict)

    def policy(self, name: str) -> Policy:
        return Policy.objects.get(project=self.project, name=name)


def get_or_make_site(password: str) -> ReportSite:
    project = Project.objects.filter(name=NAME).first()
    if project is None:
        return _make_site(password)
    manager = User.objects.get(username="marlene")
    manager.set_password(password)
    manager.save()
    machines, people = (list(User.objects.filter(username__in=names)) for names in (MACHINES, PEOPLE))
    policy, held_out = (project.prompt_sets.get(name=f"{name} prompts") for name in ("policy", "evaluation"))
    return ReportSite(manager, project, machines, people, policy, held_out)


@transaction.atomic  # a site is whole, or made again
def _make_site(password: str) -> ReportSite:
    manager = User.objects.create_user(username="marlene", password=password)
    project = create_project(
        actor=manager,
        name=NAME,
        question="Which answer is better?",
        guideline="Take the answer that is about the dish that was asked for, friendly, and no longer than needed.",
    )
    machines = [
        create_machine_annotator(actor=manager, project=project, name=name, kind=User.Kind.SIMULATED)
        for name in MACHINES
    ]
    people = [User.objects.create_user(username=name) for name in PEOPLE]
    for person in people:
        set_role(actor=manager, project=project, user=person, role=Membership.Role.ANNOTATOR)
    rng = random.Random("reports")
    _add_demonstrations(manager, project, grammar.sample_demonstrations(DEMONSTRATIONS, rng))
    sets = {}
    for purpose in ("policy", "evaluation"):
        sets[purpose] = get_or_create_prompt_set(
            actor=manager, project=project, name=f"{purpose} prompts", purpose=purpose
        )
    rows = [
        {"messages": prompt.messages, "tags": [_tag(prompt)]}
        for prompt in grammar.sample_prompts("policy", PROMPTS, rng)
    ]
    add_prompts(actor=manager, project=project, rows=rows, prompt_set=sets["policy"])
    # Held-out prompts with an answer that somebody wrote: policies meet it head to head.
    written = [
        grammar.GrammarDemonstration(prompt=prompt, response=grammar.sample_response(prompt.topic, rng))
        for prompt in grammar.sample_prompts("evaluation", EVALUATION_PROMPTS, rng)
    ]
    _add_demonstrations(manager, project, written, sets["evaluation"], split="test")
    return ReportSite(manager, project, machines, people, sets["policy"], sets["evaluation"])


def _tag(prompt: grammar.Prompt) -> str:
    [message] = prompt.messages
    named = any(occasion in message["content"] for occasion in grammar.OCCASIONS)
    return "planning a meal" if named else "technique"


def _add_demonstrations(
    actor: User,
    project: Project,
    drawn: Sequence[grammar.GrammarDemonstration],
    prompt_set: PromptSet | None = None,
    **fields: str,
) -> None:
    prompts = add_prompts(
        actor=actor,
        project=project,
        rows=[{"messages": one.prompt.messages, "tags": [_tag(one.prompt)], **fields} for one in drawn],
        prompt_set=prompt_set,
    )
    rows = [
        NewDemonstration(prompt=prompt, text=one.response) for prompt, one in zip(prompts, drawn, strict=True)
    ]
    add_demonstrations(actor=actor, project=project, rows=rows)


def tasks_file() -> str:
    """Texts that the policy should find likely, and a choice between the right dish and another."""
    rng = random.Random("benchmark")
    rows: list[dict[str, object]] = []
    for one in grammar.sample_demonstrations(24, rng):
        rows.append({"task": "held-out answers", "kind": "perplexity", "text": one.response})
        other = grammar.sample_demonstrations(1, rng)[0]
        rows.append(
            {
                "task": "the right dish",
                "kind": "choice",
                "prompt": one.prompt.messages,
                "choices": [one.response, other.response],
                "answer": one.response,
            }
        )
    return "".join(json.dumps(row) + "\n" for row in rows)
