"""The same work for both sides: random prompts and responses as token ids. Standard library only: TRL's side reads it.

Words are `w4`, `w5`, ...; a token is a word, so that text and token ids say the same on both sides.
"""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

PAD, BOS, EOS, UNKNOWN = range(4)
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
MODEL_FILE = "world.json"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Widths of the models and lengths of the texts (tokens, start and end included)."""

    vocabulary: int = 4096
    hidden_size: int = 256
    intermediate_size: int = 688
    layers: int = 4
    heads: int = 4
    key_value_heads: int = 4
    positions: int = 1024
    prompts: int = 64
    prompt_tokens: tuple[int, int] = (64, 256)
    response_tokens: tuple[int, int] = (16, 128)


SMALL = Sizes(
    vocabulary=64,
    hidden_size=16,
    intermediate_size=32,
    layers=1,
    heads=2,
    key_value_heads=2,
    positions=1024,
    prompts=6,
    prompt_tokens=(4, 12),
    response_tokens=(2, 8),
)

# For a GPU: the shapes of Qwen2.5 (technical report, table 1), with random weights.
LARGER = {
    "0.5B": Sizes(
        vocabulary=151_646, hidden_size=896, intermediate_size=4864, layers=24, heads=14, key_value_heads=2
    ),
    "1.5B": Sizes(
        vocabulary=151_646, hidden_size=1536, intermediate_size=8960, layers=28, heads=12, key_value_heads=2
    ),
}


@dataclass(frozen=True)
class Ranking:
    """A prompt and its responses, the best first."""

    prompt_ids: list[int]
    response_ids: list[list[int]]


def make_rankings(sizes: Sizes, responses: int, seed: int = 0) -> list[Ranking]:
    """`sizes.prompts` rankings of so many responses each. Prompts open with BOS, responses end with EOS."""
    randomness = random.Random(f"{seed}/{responses}")

    def words(count: int) -> list[int]:
        return [randomness.randrange(len(SPECIALS), sizes.vocabulary) for _ in range(count)]

    rankings = []
    for _ in range(sizes.prompts):
        prompt_ids = [BOS, *words(randomness.randint(*sizes.prompt_tokens) - 1)]
        rankings.append(
            Ranking(
                prompt_ids,
                [[*words(randomness.randint(*sizes.response_tokens) - 1), EOS] for _ in range(responses)],
            )
        )
    return rankings


def make_pairs(
    rankings: Sequence[Ranking], per_prompt: int, seed: int = 0
) -> list[tuple[list[int], list[int]]]:
    """(chosen, rejected) with their prompt in front: so many of each prompt's pairs, drawn at random.

    As many of every prompt, so that what is drawn has the prompt lengths of all pairs.
    """
    randomness = random.Random(seed)
    pairs = []
    for ranking in rankings:
        every_pair = list(itertools.combinations(ranking.response_ids, 2))
        for better, worse in randomness.sample(every_pair, min(per_prompt, len(every_pair))):
            pairs.append((ranking.prompt_ids + better, ranking.prompt_ids + worse))
    return pairs


def to_text(ids: Sequence[int]) -> str:
    """The words of these ids; BOS and EOS are written by whoever encodes the text."""
    return " ".join(f"w{number}" for number in ids if number not in (BOS, EOS))
