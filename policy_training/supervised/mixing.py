"""Which of a project's texts and demonstrations a run mixes in, decided before it starts and said in words."""

from dataclasses import replace
from typing import TypeVar

from django.utils.translation import gettext

from annotation.models import Prompt
from policy_training.training.policy_gradient.config import PolicyGradientOptions
from policy_training.training.ppo.config import AlgorithmOptions
from workspace.errors import ActionError
from workspace.models import Project

Algorithm = TypeVar("Algorithm", bound=AlgorithmOptions | PolicyGradientOptions)

BRING_TEXTS = "bring some in with `manage.py import_texts`"
BRING_DEMONSTRATIONS = "bring some in with `manage.py import_demonstrations`"


class NothingToMixIn(ActionError):
    """The project lacks the texts or demonstrations that a run would learn from."""

    code = "nothing_to_mix_in"


def has_training_texts(project: Project) -> bool:
    return project.texts.filter(split=Prompt.Split.TRAIN).exists()


def has_training_demonstrations(project: Project) -> bool:
    return project.demonstrations.filter(prompt__split=Prompt.Split.TRAIN).exists()


def require_training_texts(project: Project, way_out: str) -> None:
    """Raises NothingToMixIn; `way_out` is what else the caller can do."""
    if not has_training_texts(project):
        raise NothingToMixIn(
            gettext("The project has no texts to train on: %(bring_texts)s, or %(way_out)s.")
            % {"bring_texts": BRING_TEXTS, "way_out": way_out},
            code="no_texts",
        )


def require_whole_demonstrations(project: Project) -> None:
    """Of a pretraining on them. Raises NothingToMixIn."""
    if not has_training_demonstrations(project):
        raise NothingToMixIn(
            gettext("The project has no demonstrations to train on: %(bring_demonstrations)s.")
            % {"bring_demonstrations": BRING_DEMONSTRATIONS},
            code="no_demonstrations",
        )


def available_ptx(project: Project, algorithm: Algorithm) -> Algorithm:
    """The options with a ptx share that the project can meet: without any texts all of it is demonstrations.

    Whoever calls this shows `describe_ptx` of the result. Raises NothingToMixIn when what is left is missing too.
    """
    if algorithm.ptx_coefficient == 0:
        return algorithm
    if algorithm.ptx_texts_share > 0 and not has_training_texts(project):
        algorithm = replace(algorithm, ptx_texts_share=0.0)
    if algorithm.ptx_texts_share < 1 and not has_training_demonstrations(project):
        sentence = (
            gettext(
                "The plan mixes demonstrations into the policy's loss (ptx) and the project has none to train on: "
                "%(bring_texts)s or `manage.py import_demonstrations`, or set the ptx coefficient to 0."
            )
            if algorithm.ptx_texts_share > 0
            else gettext(
                "The plan mixes texts or demonstrations into the policy's loss (ptx) and the project has none to train "
                "on: %(bring_texts)s or `manage.py import_demonstrations`, or set the ptx coefficient to 0."
            )
        )
        raise NothingToMixIn(sentence % {"bring_texts": BRING_TEXTS}, code="no_demonstrations")
    return algorithm


def require_ptx(project: Project, algorithm: AlgorithmOptions | PolicyGradientOptions) -> dict[str, bool]:
    """Of a run outside a round, whose share of texts is as it was asked for: which inputs it needs, as its parameters
    have it. Raises NothingToMixIn.
    """
    if algorithm.ptx_coefficient == 0:
        return {"with_texts": False, "with_demonstrations": False}
    if algorithm.ptx_texts_share > 0:
        require_training_texts(
            project,
            gettext("mix in demonstrations alone (ptx texts share 0) or nothing (ptx coefficient 0)"),
        )
    if algorithm.ptx_texts_share < 1 and not has_training_demonstrations(project):
        raise NothingToMixIn(
            gettext(
                "The project has no demonstrations to mix into the policy's loss: %(bring_demonstrations)s, or set the "
                "ptx texts share to 1 for texts alone, or the ptx coefficient to 0 for nothing."
            )
            % {"bring_demonstrations": BRING_DEMONSTRATIONS},
            code="no_demonstrations",
        )
    return {
        "with_texts": algorithm.ptx_texts_share > 0,
        "with_demonstrations": algorithm.ptx_texts_share < 1,
    }


def describe_ptx(algorithm: AlgorithmOptions | PolicyGradientOptions) -> str:
    """A sentence about what is mixed into the policy's loss; empty when nothing is."""
    recipe = "PPO" if isinstance(algorithm, AlgorithmOptions) else "Policy gradient"
    share, coefficient = algorithm.ptx_texts_share, f"coefficient {algorithm.ptx_coefficient:g}"
    if algorithm.ptx_coefficient == 0:
        return ""
    if share == 1:
        return f"{recipe} mixes in pretraining texts (ptx, {coefficient})."
    if share == 0:
        return f"{recipe} mixes in demonstrations, no pretraining text (ptx, {coefficient})."
    return f"{recipe} mixes in {share:.0%} pretraining texts and {1 - share:.0%} demonstrations (ptx, {coefficient})."
