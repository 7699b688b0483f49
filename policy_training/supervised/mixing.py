"""Which of a project's texts and demonstrations a run mixes in, decided before it starts and said in words."""

from dataclasses import replace

from django.utils.translation import gettext

from annotation.models import Prompt
from policy_training.training.ppo.config import AlgorithmOptions
from workspace.errors import ActionError
from workspace.models import Project

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


def available_ptx(project: Project, algorithm: AlgorithmOptions) -> AlgorithmOptions:
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
                "The plan mixes demonstrations into PPO (ptx) and the project has none to train on: %(bring_texts)s "
                "or `manage.py import_demonstrations`, or set policy.algorithm.ptx_coefficient=0."
            )
            if algorithm.ptx_texts_share > 0
            else gettext(
                "The plan mixes texts or demonstrations into PPO (ptx) and the project has none to train on: "
                "%(bring_texts)s or `manage.py import_demonstrations`, or set policy.algorithm.ptx_coefficient=0."
            )
        )
        raise NothingToMixIn(sentence % {"bring_texts": BRING_TEXTS}, code="no_demonstrations")
    return algorithm


def require_ptx(project: Project, algorithm: AlgorithmOptions) -> None:
    """Of a run outside a round, whose share of texts is as it was asked for. Raises NothingToMixIn."""
    if algorithm.ptx_coefficient == 0:
        return
    if algorithm.ptx_texts_share > 0:
        require_training_texts(
            project,
            "mix in demonstrations alone (algorithm.ptx_texts_share=0) or nothing (ptx_coefficient=0)",
        )
    if algorithm.ptx_texts_share < 1 and not has_training_demonstrations(project):
        raise NothingToMixIn(
            gettext(
                "The project has no demonstrations to mix into PPO: %(bring_demonstrations)s, or set "
                "algorithm.ptx_texts_share=1 for texts alone, or algorithm.ptx_coefficient=0 for nothing."
            )
            % {"bring_demonstrations": BRING_DEMONSTRATIONS},
            code="no_demonstrations",
        )


def describe_ptx(algorithm: AlgorithmOptions) -> str:
    """A sentence about what PPO mixes in; empty when it mixes in nothing."""
    share, coefficient = algorithm.ptx_texts_share, f"coefficient {algorithm.ptx_coefficient:g}"
    if algorithm.ptx_coefficient == 0:
        return ""
    if share == 1:
        return f"PPO mixes in pretraining texts (ptx, {coefficient})."
    if share == 0:
        return f"PPO mixes in demonstrations, no pretraining text (ptx, {coefficient})."
    return (
        f"PPO mixes in {share:.0%} pretraining texts and {1 - share:.0%} demonstrations (ptx, {coefficient})."
    )
