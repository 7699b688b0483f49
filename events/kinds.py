"""The kinds of event there are: what happened, as `thing.what`. `events/triggers.py` writes them."""

from collections.abc import Sequence

from learning.interface.options import UserError

KINDS: dict[str, str] = {
    "judgment.submitted": "A task was judged",
    "judgment.revised": "A judgment was changed: a new one supersedes it",
    "judgment.withdrawn": "A judgment was taken back",
    "run.queued": "A run waits for a worker",
    "run.running": "A run was started",
    "run.paused": "A run was paused: a manager has it go on or end",
    "run.done": "A run is done",
    "run.failed": "A run has failed",
    "run.user_error": "A run needs a change of what was asked",
    "run.cancelled": "A run was cancelled",
    "round.sampling": "A round has begun: its prompts are answered",
    "round.annotating": "A round's answers are judged",
    "round.reward_model": "A round trains its reward model",
    "round.policy": "A round trains its policy",
    "round.scoring": "A round's answers are scored",
    "round.done": "A round is done",
    "round.failed": "A round waits for a manager",
    "round.cancelled": "A round was cancelled",
    "import.done": "An import is in, with all its rows",
    "import.taken_back": "An import was taken back",
    "dataset.frozen": "A dataset was frozen",
    "dataset.discarded": "A dataset was discarded",
    "webhook.test": "A webhook was tried out; only this one is sent it",
    "webhook.turned_off": "The site has turned a webhook off",
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
