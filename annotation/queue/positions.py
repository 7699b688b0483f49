"""At which of a person's tasks one comes whose answer is known, or one of their own again.

Of each hundred tasks of a person so many as the project says, at places that a secret and the person decide: nobody can
tell them, and the share is kept exactly. That they are known beforehand lets the number of tasks that are left count
them: it falls by one with each task, of whatever kind, and so gives none of them away.
"""

import random
from enum import Enum
from functools import lru_cache

from django.utils.crypto import salted_hmac

from workspace.models import Project, User

BLOCK = 100  # tasks


class Kind(Enum):
    USUAL = "usual"
    GOLD = "gold"
    REPEAT = "repeat"


def _of_block(share: float) -> int:
    """How many of a hundred; one at least where there are to be any."""
    return max(1, round(share * BLOCK)) if share > 0 else 0


@lru_cache(maxsize=4096)
def _special_places(project: int, person: int, block: int, gold: int, repeats: int) -> dict[int, Kind]:
    seed = salted_hmac("annotation.positions", f"{project}:{person}:{block}", algorithm="sha256").digest()
    places = random.Random(seed).sample(range(BLOCK), gold + repeats)
    return dict.fromkeys(places[:gold], Kind.GOLD) | dict.fromkeys(places[gold:], Kind.REPEAT)


def _places(project: Project, person: User, block: int) -> dict[int, Kind]:
    return _special_places(
        project.pk, person.pk, block, _of_block(project.gold_share), _of_block(project.repeat_share)
    )


def kind_at(project: Project, person: User, position: int) -> Kind:
    """Of the person's task number `position`, counted from 0 by what they were given so far."""
    if not project.gold_share and not project.repeat_share:
        return Kind.USUAL
    return _places(project, person, position // BLOCK).get(position % BLOCK, Kind.USUAL)


def tasks_ahead(project: Project, person: User, position: int, usual: int) -> int:
    """How many tasks it takes from `position` on until `usual` usual ones are done; the last of them is a usual one."""
    special = _of_block(project.gold_share) + _of_block(project.repeat_share)
    if not usual or not special:
        return usual
    tasks, (block, start) = 0, divmod(position, BLOCK)
    usual_of_block = BLOCK - special
    while True:
        places = _places(project, person, block)
        left = [place for place in range(start, BLOCK) if place not in places]
        if usual <= len(left):
            return tasks + left[usual - 1] - start + 1
        tasks += BLOCK - start
        usual -= len(left)
        # All blocks have as many: only the first and the last are looked at.
        whole = (usual - 1) // usual_of_block
        tasks += whole * BLOCK
        usual -= whole * usual_of_block
        block, start = block + 1 + whole, 0
