"""Which criteria the reward model of a round learns: the round's own, and those that its plan names beside it."""

from django.utils.translation import gettext

from annotation.datasets.supply import TRAINING_PURPOSES
from annotation.models import Judgment
from rounds.errors import RoundRefused
from rounds.models import Round
from rounds.plans import RoundPlan
from workspace.models import Criterion, Project


def learned_criteria(project: Project, criterion: Criterion, plan: RoundPlan) -> list[Criterion]:
    """The round's own first, then those that the plan names, in its order. Raises RoundRefused for an unknown name."""
    known = {found.name: found for found in project.criteria.all()}
    names = plan.learned_criteria(criterion.name)
    if missing := [name for name in names if name not in known]:
        raise RoundRefused(
            gettext("The project has no criterion “%(missing)s” for the reward model to learn.")
            % {"missing": missing[0]},
            code="no_criterion",
            fields={"reward_model_criteria": gettext("No criterion of this project.")},
        )
    return [known[name] for name in names]


def require_learned_criteria(project: Project, criterion: Criterion, plan: RoundPlan) -> None:
    """Raises RoundRefused for a criterion that nobody has judged, beside the round's own, which is judged in it."""
    for other in learned_criteria(project, criterion, plan)[1:]:
        judgments = (
            Judgment.objects.current()
            .for_datasets()
            .of_project(project)
            .of_criterion(other)
            .of_purposes(*TRAINING_PURPOSES)
            .of_annotator_kinds(*plan.annotation.annotator_kinds)
        )
        if plan.batches:
            judgments = judgments.filter(task__batch__name__in=plan.batches)
        if not judgments.exists():
            raise RoundRefused(
                gettext(
                    "There are no judgments on “%(criterion)s” yet for the reward model to learn (by %(kinds)s, not "
                    "head to head, of the batches that the plan learns from): let annotators judge tasks of that "
                    "criterion first, or leave it out."
                )
                % {"criterion": other.name, "kinds": ", ".join(plan.annotation.annotator_kinds)},
                code="no_judgments",
                fields={"reward_model_criteria": gettext("Nobody has judged by it yet.")},
            )


def other_criteria(round_: Round, plan: RoundPlan) -> list[str]:
    """The names beside the round's own; empty where the reward model learns that alone."""
    return plan.learned_criteria(round_.criterion.name)[1:]
