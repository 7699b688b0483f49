"""On which side new prompts go: that of prompts that begin alike, the one asked for, or by the project's rule."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from annotation.content.splits import SplitRule, assign_split, hold_out_per_tag, rule_of
from annotation.errors import PromptConflict
from annotation.models import Prompt
from learning.interface.messages import Messages
from learning.interface.vocabulary import TEST
from workspace.models import Project

KEYS_PER_QUERY = 500
NO_GROUPS: Mapping[str, str] = MappingProxyType({})


class NewPrompt(Protocol):
    @property
    def messages(self) -> Messages: ...
    @property
    def tags(self) -> list[str]: ...
    @property
    def first_turn_hash(self) -> str: ...
    @property
    def split(self) -> str | None: ...


def sides_of_prompts(
    project: Project, rows: Sequence[NewPrompt], group_of: Mapping[str, str] = NO_GROUPS
) -> dict[str, str]:
    """The split of every row, by the hash of its first turn. Raises PromptConflict.

    `group_of`: the group of first turns that are almost the same (`near_duplicates`), which share a side; but what a
    file names for one of them is its own.
    """
    rule = rule_of(project)
    sides = known_sides(project, {row.first_turn_hash for row in rows})
    for row in rows:
        if row.split is not None and sides.setdefault(row.first_turn_hash, row.split) != row.split:
            raise PromptConflict(
                f"A prompt should be on the side {row.split}, and one that begins alike is on the side "
                f"{sides[row.first_turn_hash]}: no prompt is on two sides.",
                code="two_sides",
            )
    free = [row for row in rows if row.first_turn_hash not in sides]
    of_group = known_sides_of_groups(
        project, {group_of[row.first_turn_hash] for row in free} if group_of else ()
    )
    for row in rows:
        if row.first_turn_hash in sides and row.first_turn_hash in group_of:
            of_group.setdefault(group_of[row.first_turn_hash], sides[row.first_turn_hash])
    groups = [(group_of.get(row.first_turn_hash, row.first_turn_hash), row) for row in free]
    held_out = choose_held_out(
        project, rule, [(group, row.tags) for group, row in groups if group not in of_group]
    )
    for group, row in groups:
        if group not in of_group:
            of_group[group] = (
                TEST if group in held_out else assign_split(row.messages, project.split_salt, rule)
            )
        sides[row.first_turn_hash] = of_group[group]
    return sides


def known_sides_of_groups(project: Project, groups: Collection[str]) -> dict[str, str]:
    """The side of each group's oldest prompt that is there."""
    sides: dict[str, str] = {}
    ordered = sorted(groups)
    for start in range(0, len(ordered), KEYS_PER_QUERY):
        stored = Prompt.objects.filter(
            project=project, group_hash__in=ordered[start : start + KEYS_PER_QUERY]
        )
        # In order by themselves: SQLite reads the whole project for a search that asks for an order.
        for _, group, split in sorted(stored.values_list("pk", "group_hash", "split")):
            sides.setdefault(group, split)
    return sides


def known_sides(project: Project, keys: Collection[str]) -> dict[str, str]:
    """The side of the project's prompts with these hashes of the first turn."""
    sides: dict[str, str] = {}
    ordered = sorted(keys)
    for start in range(0, len(ordered), KEYS_PER_QUERY):
        stored = Prompt.objects.filter(
            project=project, first_turn_hash__in=ordered[start : start + KEYS_PER_QUERY]
        )
        sides.update(stored.values_list("first_turn_hash", "split"))
    return sides


def choose_held_out(
    project: Project, rule: SplitRule, prompts: Sequence[tuple[str, Sequence[str]]]
) -> set[str]:
    """Which of new prompts (hash of group or first turn, tags) go to test by the numbers of the project's tags."""
    if not rule.test_per_tag or not prompts:
        return set()
    stored = Prompt.objects.filter(project=project, split=TEST).order_by("pk")
    tag_of: dict[str, str] = {}
    for key, group, tags in stored.values_list("first_turn_hash", "group_hash", "tags"):
        tag_of.setdefault(group or key, tags[0] if tags else "")
    return hold_out_per_tag(prompts, Counter(tag_of.values()), rule, project.split_salt)
