"""The true worth of responses of the built-in world, and a judge who sees it through noise.

`gold_score` is the ground truth of the demo: nobody trains on it, rounds are measured by it. `judge` is how
a simulated annotator perceives it: with logistic noise, ties where two answers seem equal, and strengths
from how far apart they seem. Both look at text only, so they judge any policy's responses.

Everything is a pure function; randomness comes from the `random.Random` passed in. No Django, no torch.
"""

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from demo.grammar import sentence_kind, split_sentences, topic_words

# Scale of the logistic noise at which a judge agrees with the gold order on about 84 % of the untied pairs of
# everyday answers, and two such judges with each other on about 77 %, as people do (InstructGPT: 73-77 %). Ours;
# measured in tests/demo/test_gold_judge.py.
NOISE = 0.9

# Perceived gaps, in points of gold, below which a pair is a tie, negligibly, slightly and plainly better; above:
# significantly.
TIE_BELOW = 0.25
STRENGTH_BELOW = (0.6, 1.5, 2.75)

LONG_WORDS = 48  # a complete answer has about 35 words
SHORT_WORDS = 9  # less than one proper step


@dataclass(frozen=True, kw_only=True)
class GoldComponents:
    """The parts of a gold score, each in points; their sum is the score."""

    topic: float  # 1.5: names the food that was asked for and no other; 0.5 with another beside it; -1 only another
    flavour: float  # 0.5: names the flavour that was asked for and no other; -0.25 only another
    politeness: (
        float  # 1: opens politely; 0.25: one good wish at the end; -1 for each rude sentence, at most two
    )
    reason: float  # 1: says why, once
    tip: float  # 0.5: gives one tip
    filler: float  # -0.75 for each sentence that says nothing, at most three
    repetition: float  # -0.5 for each sentence said again
    garbled: float  # -0.5 for each sentence that is not the world's language, at most three
    length: float  # -0.05 for each word beyond 48; -0.5 below 9 words
    ending: float  # 0 when the answer ends with a full sentence, -1 when it breaks off

    @property
    def total(self) -> float:
        return sum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A weak order over the judged responses: indices in tiers, best first; one strength 0..3 a step between tiers."""

    tiers: list[list[int]]
    strengths: list[int]


def gold_components(
    messages: Sequence[Mapping[str, str]], response: str, *, finished: bool = True
) -> GoldComponents:
    """The parts of the gold score of one response to a prompt of the world.

    `finished` is False when the policy hit its token limit; a text without a closing mark counts as
    unfinished in any case. The topic is read from the last user turn; ValueError when that does not name
    exactly one food and one flavour.
    """
    asked_foods, asked_flavours = topic_words(_last_user_turn(messages))
    if len(asked_foods) != 1 or len(asked_flavours) != 1:
        raise ValueError("the prompt is not one of this world: it must name one food and one flavour")
    foods, flavours = topic_words(response)
    sentences = split_sentences(response)
    kinds = [sentence_kind(sentence) for sentence in sentences]
    count = Counter(kinds)
    words = len(response.split())
    opens_politely = bool(kinds) and kinds[0] == "greeting" and count["greeting"] == 1
    closes_with_a_wish = bool(kinds) and kinds[-1] == "wish" and count["wish"] == 1
    ends_well = finished and response.rstrip().endswith((".", "!", "?"))
    return GoldComponents(
        topic=_mention_score(foods, asked_foods, alone=1.5, beside_others=0.5, others_only=-1.0),
        flavour=_mention_score(flavours, asked_flavours, alone=0.5, beside_others=0.0, others_only=-0.25),
        politeness=1.0 * opens_politely + 0.25 * closes_with_a_wish - 1.0 * min(2, count["rudeness"]),
        reason=1.0 * (count["reason"] == 1),
        tip=0.5 * (count["tip"] == 1),
        filler=-0.75 * min(3, count["filler"]),
        repetition=-0.5 * (len(sentences) - len(set(sentences))),
        garbled=-0.5 * min(3, count[None]),
        length=-0.05 * max(0, words - LONG_WORDS) - 0.5 * (words < SHORT_WORDS),
        ending=0.0 if ends_well else -1.0,
    )


def gold_score(messages: Sequence[Mapping[str, str]], response: str, *, finished: bool = True) -> float:
    """The gold score of one response, in points: about -3 to 4.75."""
    return gold_components(messages, response, finished=finished).total


def judge(
    messages: Sequence[Mapping[str, str]],
    responses: Sequence[str],
    rng: random.Random,
    *,
    noise: float = NOISE,
    allow_ties: bool = True,
) -> Verdict:
    """How one noisy judge orders `responses`, which are given in the order shown.

    Each response is perceived as its gold score plus `noise` times a standard Gumbel draw. The difference
    of two Gumbel draws is logistic, so for every pair P(i over j) = sigmoid((gold_i - gold_j) / noise),
    ties apart, and K responses are ordered as Plackett-Luce orders them. With noise = 0 the verdict is the
    gold order. ValueError for fewer than two responses or a negative noise.
    """
    if len(responses) < 2:
        raise ValueError(f"a judge compares two or more responses, not {len(responses)}")
    if noise < 0:
        raise ValueError(f"noise must not be negative, it is {noise}")
    perceived = [gold_score(messages, response) + noise * _gumbel(rng) for response in responses]
    return _verdict(perceived, TIE_BELOW if allow_ties else 0.0)


def _verdict(perceived: Sequence[float], tie_below: float) -> Verdict:
    """Tiers and strengths of perceived values; neighbours closer than `tie_below` share a tier."""
    order = sorted(range(len(perceived)), key=lambda index: -perceived[index])
    tiers = [[order[0]]]
    for index in order[1:]:
        # Measured from the tier's first member, so that a chain of small steps does not tie the best with the worst.
        if perceived[tiers[-1][0]] - perceived[index] < tie_below:
            tiers[-1].append(index)
        else:
            tiers.append([index])
    centres = [sum(perceived[index] for index in tier) / len(tier) for tier in tiers]
    gaps = [better - worse for better, worse in zip(centres, centres[1:], strict=False)]
    return Verdict(tiers=tiers, strengths=[_strength(gap) for gap in gaps])


def _strength(gap: float) -> int:
    return sum(gap >= bound for bound in STRENGTH_BELOW)


def _mention_score(
    named: set[str], asked: set[str], *, alone: float, beside_others: float, others_only: float
) -> float:
    if not named:
        return 0.0
    if not asked & named:
        return others_only
    return alone if named == asked else beside_others


def _last_user_turn(messages: Sequence[Mapping[str, str]]) -> str:
    turns = [message["content"] for message in messages if message["role"] == "user"]
    if not turns:
        raise ValueError("the prompt has no user turn")
    return turns[-1]


def _gumbel(rng: random.Random) -> float:
    # 1 - random() lies in (0, 1], and -log of it is 0 only for exactly 1, which is moved by the smallest step.
    return -math.log(max(-math.log(1.0 - rng.random()), 5e-324))
