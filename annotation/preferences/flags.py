"""The flags of a judgment that only an import can give it. Those of annotators are the project's (workspace.asked)."""

from collections.abc import Iterable

# Flags of judgments that came as single pairs of a larger question (an import): `group:` and the group's id. A
# consensus puts them together again. INTRANSITIVE_FLAG says that all pairs of the group were judged and are no weak
# order.
GROUP_FLAG = "group:"
INTRANSITIVE_FLAG = "intransitive"


def find_group(flags: Iterable[str]) -> str | None:
    """The id of the group that the flags name."""
    return next((flag.removeprefix(GROUP_FLAG) for flag in flags if flag.startswith(GROUP_FLAG)), None)


def without_group(flags: Iterable[str]) -> list[str]:
    """The flags of a judgment that no import brought in: it belongs to no group, whatever its flags say."""
    return [flag for flag in flags if flag != INTRANSITIVE_FLAG and not flag.startswith(GROUP_FLAG)]
