"""An order of answers as a person writes it: “A > B = C”, with how much better where that is known: “A >2 B”.

Pure functions; answers are called by their labels.
"""

import re
from collections.abc import Collection, Sequence

_STEP = re.compile(r"\s*(>\s*[0-9]*|=)\s*")


def parse_order(text: str, labels: Collection[str]) -> tuple[list[list[str]], list[int | None]]:
    """(tiers of labels, the best first; a strength a step, 0 to 3, None where none is written); each label once.

    Raises ValueError with one sentence.
    """
    parts = _STEP.split(text.strip())
    tiers: list[list[str]] = [[parts[0].upper()]]
    strengths: list[int | None] = []
    for step, label in zip(parts[1::2], parts[2::2], strict=True):
        if step == "=":
            tiers[-1].append(label.upper())
            continue
        tiers.append([label.upper()])
        number = step[1:].strip()
        if number and (len(number) > 1 or int(number) > 3):
            raise ValueError(f"“{text}”: a step says 0 to 3, how much better (as in A >2 B), or nothing.")
        strengths.append(int(number) if number else None)
    if sorted(label for tier in tiers for label in tier) != sorted(labels):
        example = " > ".join(labels)
        raise ValueError(
            f"“{text}”: name each of {', '.join(labels)} once, with > or = between (as in {example})."
        )
    return tiers, strengths


def write_order(tiers: Sequence[Sequence[str]], strengths: Sequence[int | None]) -> str:
    """What `parse_order` reads."""
    written = " = ".join(tiers[0])
    for tier, strength in zip(tiers[1:], strengths, strict=True):
        written += f" >{'' if strength is None else strength} {' = '.join(tier)}"
    return written
