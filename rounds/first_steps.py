"""What a new project needs before people judge in it; each step is done when the thing is there, whoever made it."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext

from annotation.models import Batch, Prompt, Response
from policy_training.models import Policy
from rounds.models import Round
from workspace.models import Project, User


@dataclass(frozen=True, kw_only=True)
class FirstStep:
    name: str
    title: str
    hint: str
    done: bool
    links: tuple[tuple[str, str], ...]  # (words, address) of where it is done


@dataclass(frozen=True)
class FirstSteps:
    steps: list[FirstStep]

    @property
    def done(self) -> int:
        return sum(step.done for step in self.steps)

    @property
    def all_done(self) -> bool:
        return self.done == len(self.steps)

    @property
    def next_step(self) -> FirstStep | None:
        return next((step for step in self.steps if not step.done), None)


def find_first_steps(project: Project) -> FirstSteps:
    """The steps in the order in which they are best done."""

    def at(name: str, query: str = "") -> str:
        return reverse(name, args=[project.slug]) + query

    guideline = project.guidelines.latest_version()
    people = project.memberships.filter(user__kind=User.Kind.PERSON, user__is_active=True)
    has_answers = Response.objects.filter(project=project).exists()
    return FirstSteps(
        [
            FirstStep(
                name="question",
                title=gettext("Say what is judged"),
                hint=gettext("The criterion and the question are there; a guideline says how to decide."),
                done=project.criteria.exists() and guideline is not None and bool(guideline.text.strip()),
                links=((gettext("Write the guideline"), at("annotation:settings")),),
            ),
            FirstStep(
                name="prompts",
                title=gettext("Bring prompts"),
                hint=gettext("What models are asked; a file of them, with or without answers."),
                done=Prompt.objects.filter(project=project).exists(),
                links=((gettext("Import prompts"), at("data:new_upload", "?kind=prompts")),),
            ),
            FirstStep(
                name="policy",
                title=gettext("Bring a policy, or answers"),
                hint=gettext(
                    "A policy is the language model that answers and is trained. Answers of other models, in a file, "
                    "do as well to begin with."
                ),
                done=has_answers or Policy.objects.filter(project=project).exists(),
                links=(
                    (gettext("Policies"), at("policies:list")),
                    (gettext("Import answers"), at("data:new_upload", "?kind=tasks")),
                ),
            ),
            FirstStep(
                name="people",
                title=gettext("Invite people"),
                hint=gettext(
                    "Annotators judge; reviewers also read what was judged; managers change the project."
                ),
                done=people.count() > 1,
                links=((gettext("Invite"), at("workspace:people")),),
            ),
            FirstStep(
                name="batch",
                title=gettext("Ask for the first judgments"),
                hint=gettext(
                    "Open a batch of answers from a file, or start a round, which samples answers from the policy."
                ),
                done=Batch.objects.filter(project=project, visible=True)
                .exclude(state=Batch.State.DRAFT)
                .exists()
                or Round.objects.filter(project=project).exists(),
                links=(
                    (gettext("Batches"), at("annotation:batches")),
                    (gettext("Start a round"), at("rounds:start")),
                ),
            ),
        ]
    )
