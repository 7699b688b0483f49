"""A judgment as an English phrase, and the flags as people read them."""

from annotation.preferences.scale import STRENGTH_NAMES

FLAG_LABELS = (
    ("both_bad", "None of the answers is good"),
    ("unclear_prompt", "The prompt is unclear"),
    ("unsafe", "Something here is harmful"),
)


def describe_judgment(tiers: list[list[str]], strengths: list[int]) -> str:
    """A judgment in words: "B better than A", "A = C slightly better than B, better than D"."""
    first = " = ".join(tiers[0])
    if len(tiers) == 1:
        return f"{first} (a tie)" if len(tiers[0]) > 1 else first
    steps = zip(tiers[1:], strengths, strict=True)
    return f"{first} " + ", ".join(f"{STRENGTH_NAMES[by]} than {' = '.join(tier)}" for tier, by in steps)
