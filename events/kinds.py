"""The kinds of event there are: what happened, as `thing.what`. `events/triggers.py` writes most of them."""

from collections.abc import Sequence

from django.utils.translation import gettext_noop

from learning.interface.options import UserError

KINDS: dict[str, str] = {
    "judgment.submitted": gettext_noop("A task was judged"),
    "judgment.revised": gettext_noop("A judgment was changed: a new one supersedes it"),
    "judgment.withdrawn": gettext_noop("A judgment was taken back"),
    "run.queued": gettext_noop("A run waits for a worker"),
    "run.running": gettext_noop("A run was started"),
    "run.paused": gettext_noop("A run was paused: a manager has it go on or end"),
    "run.done": gettext_noop("A run is done"),
    "run.failed": gettext_noop("A run has failed"),
    "run.user_error": gettext_noop("A run needs a change of what was asked"),
    "run.cancelled": gettext_noop("A run was cancelled"),
    "training.refused": gettext_noop("A training that waited for its start policy could not be queued"),
    "round.sampling": gettext_noop("A round has begun: its prompts are answered"),
    "round.annotating": gettext_noop("A round's answers are judged"),
    "round.reward_model": gettext_noop("A round trains its reward model"),
    "round.policy": gettext_noop("A round trains its policy"),
    "round.scoring": gettext_noop("A round's answers are scored"),
    "round.done": gettext_noop("A round is done"),
    "round.failed": gettext_noop("A round waits for a manager"),
    "round.cancelled": gettext_noop("A round was cancelled"),
    "import.done": gettext_noop("An import is in, with all its rows"),
    "import.taken_back": gettext_noop("An import was taken back"),
    "dataset.frozen": gettext_noop("A dataset was frozen"),
    "dataset.discarded": gettext_noop("A dataset was discarded"),
    "webhook.test": gettext_noop("A webhook was tried out; only this one is sent it"),
    "webhook.turned_off": gettext_noop("The site has turned a webhook off"),
}
GROUPS = tuple(dict.fromkeys(kind.partition(".")[0] for kind in KINDS))
# What may be asked for: a kind, or all of a thing.
NAMES = (*GROUPS, *KINDS)


def parse_kinds(text: str) -> list[str]:
    """`judgment, round.done` as ["judgment", "round.done"]. Raises UserError naming what is unknown."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    require_known(names)
    return list(dict.fromkeys(names))


def require_known(names: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in NAMES]:
        raise UserError(
            f"There is no kind of event “{unknown[0]}”; there are {', '.join(GROUPS)}, and of each: {', '.join(KINDS)}."
        )


def expand(names: Sequence[str]) -> list[str]:
    """The kinds that these names stand for; all where there is none."""
    chosen = set(names)
    if not chosen:
        return list(KINDS)
    return [kind for kind in KINDS if kind in chosen or kind.partition(".")[0] in chosen]
