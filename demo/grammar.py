"""The small built-in world: cooking questions and answers, written by a grammar.

The demo needs people's questions, demonstrations for supervised fine-tuning and pairs to judge before any
policy exists, on a machine without a network. This module writes all of them from a few slots (food,
flavour, method, occasion, side, minutes). Answers vary in what a reader would care about: on or off
topic, polite or rude, with or without a reason and a tip, padded with filler or not; `demo.gold_judge`
weighs exactly that.

Two properties are kept on purpose:

- Slots are single words of lower case in the middle of a sentence, so that a byte-level BPE trained on
  demonstrations spends one token on each. A model of a million parameters then learns to copy the topic
  within a minute.
- Prompts are held out by combination: a (food, flavour) pair belongs to exactly one purpose, chosen by
  hash. Every prompt names both, so no prompt of one purpose asks about a pair that another has seen.

Everything is a pure function of its arguments; randomness comes from the `random.Random` passed in. No
Django, no torch.
"""

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Literal

Purpose = Literal["sft", "reward", "policy", "evaluation"]

# How many of the flavours each food has go to which purpose. Ours: every food occurs equally often in every purpose,
# or a reward model could tell on-topic answers by the food alone.
FLAVOURS_PER_FOOD: Mapping[Purpose, int] = {"sft": 12, "reward": 6, "policy": 3, "evaluation": 3}

FOODS = "salmon chicken rice pasta tofu beef squash turkey lamb tuna kale broccoli".split()
FLAVOURS = (
    "cumin basil ginger paprika thyme garlic lemon mint sesame chili rosemary saffron "
    "parsley dill oregano coriander turmeric pepper mustard honey lime onion butter miso"
).split()
METHODS = "roast simmer steam grill bake fry braise sear".split()
OCCASIONS = "breakfast brunch lunch dinner supper".split()
SIDES = "bread salad soup olives pickles lentils".split()
MINUTES = "10 15 20 25 30 40".split()

SLOTS: Mapping[str, Sequence[str]] = {
    "food": FOODS,
    "flavour": FLAVOURS,
    "method": METHODS,
    "occasion": OCCASIONS,
    "side": SIDES,
    "minutes": MINUTES,
}

QUESTIONS = (
    "How do I {method} {food} with {flavour} for {occasion}?",
    "How long should I {method} {food} with {flavour}?",
    "I have {food} and {flavour} at home. What should I make for {occasion}?",
    "Can you plan {occasion} around {food} and {flavour}?",
    "My {food} with {flavour} is dry. How do I fix it?",
    "Give me a quick idea for {food} with {flavour}, please.",
    "What goes well with {food} and {flavour} for {occasion}?",
    "Is {flavour} a good match for {food} at {occasion}?",
)

GREETINGS = ("Of course, happy to help!", "Great question!", "Sure, here is an idea.")
RUDENESS = ("Whatever.", "Ask someone else.", "That is a silly question.")
STEPS = (
    "You can {method} the {food}{instead} for {minutes} minutes with {flavour}.",
    "Season the {food}{instead} with {flavour}, then {method} it for {minutes} minutes.",
    "Put the {food}{instead} in a hot pan and add some {flavour}.",
    "For {occasion}, serve the {food}{instead} with {flavour} and some {side}.",
)
REASONS = (
    "This works because {flavour} brings out the taste of the {food}.",
    "The {food} stays soft because the heat is low.",
    "It is a good choice because {food} cooks quickly.",
)
TIPS = (
    "Tip: add a little {flavour} at the end.",
    "Tip: let the {food} rest before serving.",
    "Tip: taste the {food} and adjust the salt.",
)
WISHES = ("Enjoy your {food}!", "Let me know how it turns out!")
FILLERS = (
    "Well, it depends on many things.",
    "You know, cooking is cooking.",
    "Some people say this and some people say that.",
)

SENTENCES: Mapping[str, Sequence[str]] = {
    "greeting": GREETINGS,
    "rudeness": RUDENESS,
    "step": STEPS,
    "reason": REASONS,
    "tip": TIPS,
    "wish": WISHES,
    "filler": FILLERS,
}


@dataclass(frozen=True, kw_only=True)
class Topic:
    """What a prompt asks about. `method` and `occasion` are set even where the question does not name them: an answer
    may use any, and the gold judge does not look at them."""

    food: str
    flavour: str
    method: str
    occasion: str


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A question of the world. `text` is the user's only turn."""

    text: str
    topic: Topic
    purpose: Purpose

    @property
    def messages(self) -> list[dict[str, str]]:
        return [{"role": "user", "content": self.text}]


@dataclass(frozen=True, kw_only=True)
class GrammarDemonstration:
    prompt: Prompt
    response: str


@dataclass(frozen=True, kw_only=True)
class WriterProfile:
    """How often a writer does a thing, each a probability in [0, 1].

    `rude` applies where the writer was not polite; `says_instead` where the response is about another
    food: it then contains the word "instead" ("roast the tofu instead"). Why that helps the reward model
    is not known (docs/decisions.md).
    """

    on_topic: float
    says_instead: float
    right_flavour: float
    polite: float
    rude: float
    reason: float
    tip: float
    wish: float
    opening_filler: float
    closing_filler: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(
                    f"WriterProfile.{field.name} must be a probability between 0 and 1, not {value!r}"
                )


# Who writes the demonstrations: on the whole sensible, with room to improve in every way the gold judge weighs. The
# probabilities are independent of each other, so that being off topic does not show in the style; it shows in one word,
# “instead” (how often, and why always: docs/decisions.md).
TYPICAL_WRITER = WriterProfile(
    on_topic=0.75,
    says_instead=1.0,
    right_flavour=0.85,
    polite=0.35,
    rude=0.2,
    reason=0.35,
    tip=0.3,
    wish=0.3,
    opening_filler=0.3,
    closing_filler=0.2,
)


@cache
def purpose_of(food: str, flavour: str) -> Purpose:
    """The one purpose a combination belongs to. The flavours of a food are ordered by a hash of the combination and
    dealt out in that order, so the answer never changes with a seed or with what was drawn before."""
    place = sorted(FLAVOURS, key=lambda other: _combination_hash(food, other)).index(flavour)
    for purpose, count in FLAVOURS_PER_FOOD.items():
        if place < count:
            return purpose
        place -= count
    raise AssertionError("FLAVOURS_PER_FOOD must add up to the number of flavours")


@cache
def combinations(purpose: Purpose) -> tuple[tuple[str, str], ...]:
    """All (food, flavour) pairs of a purpose, in a fixed order."""
    return tuple(
        (food, flavour) for food in FOODS for flavour in FLAVOURS if purpose_of(food, flavour) == purpose
    )


def sample_prompts(purpose: Purpose, count: int, rng: random.Random) -> list[Prompt]:
    """`count` prompts of a purpose, no text twice. ValueError when the purpose does not have that many."""
    pairs = combinations(purpose)
    available = len(pairs) * _texts_per_pair()
    if count > available:
        raise ValueError(f"the grammar has {available} prompts for {purpose!r}, {count} were asked for")
    prompts: dict[str, Prompt] = {}
    while len(prompts) < count:
        prompt = _draw_prompt(pairs, purpose, rng)
        prompts.setdefault(prompt.text, prompt)
    return list(prompts.values())


def sample_demonstrations(
    count: int, rng: random.Random, writer: WriterProfile = TYPICAL_WRITER
) -> list[GrammarDemonstration]:
    """`count` demonstrations on combinations of purpose "sft"; prompts may repeat, with another response each time."""
    pairs = combinations("sft")
    drawn = [_draw_prompt(pairs, "sft", rng) for _ in range(count)]
    return [
        GrammarDemonstration(prompt=prompt, response=sample_response(prompt.topic, rng, writer))
        for prompt in drawn
    ]


def sample_response(topic: Topic, rng: random.Random, writer: WriterProfile = TYPICAL_WRITER) -> str:
    """One answer as such a writer would give it."""
    food = topic.food if rng.random() < writer.on_topic else _other(FOODS, topic.food, rng)
    flavour = topic.flavour if rng.random() < writer.right_flavour else _other(FLAVOURS, topic.flavour, rng)
    says_instead = food != topic.food and rng.random() < writer.says_instead
    return _render(
        draw_plan(rng, writer), food=food, flavour=flavour, topic=topic, rng=rng, says_instead=says_instead
    )


def contrast_pair(
    topic: Topic, rng: random.Random, writer: WriterProfile = TYPICAL_WRITER
) -> tuple[str, str]:
    """Two answers that differ in the food only: (on topic, off topic). Word for word the same otherwise, so that
    nothing but the topic can tell a reader, or a reward model, which is better."""
    other = _other(FOODS, topic.food, rng)
    flavour = topic.flavour if rng.random() < writer.right_flavour else _other(FLAVOURS, topic.flavour, rng)
    plan = draw_plan(rng, writer)
    seed = rng.getrandbits(64)
    on_topic, off_topic = (
        _render(plan, food=food, flavour=flavour, topic=topic, rng=random.Random(seed))
        for food in (topic.food, other)
    )
    return on_topic, off_topic


def sample_pair(topic: Topic, rng: random.Random, contrast_share: float = 0.35) -> tuple[str, str]:
    """Two different answers worth comparing before any policy exists, in random order: a contrast pair with probability
    `contrast_share`, else two answers drawn independently."""
    if rng.random() < contrast_share:
        first, second = contrast_pair(topic, rng)
    else:
        first, second = sample_response(topic, rng), sample_response(topic, rng)
        while second == first:
            second = sample_response(topic, rng)
    return (first, second) if rng.random() < 0.5 else (second, first)


def topic_words(text: str) -> tuple[set[str], set[str]]:
    """The foods and the flavours a text names, as whole words in any case."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    return words & set(FOODS), words & set(FLAVOURS)


def split_sentences(text: str) -> list[str]:
    """Sentences with their closing mark; whatever follows the last mark is a sentence of its own."""
    return [sentence.strip() for sentence in re.findall(r"[^.!?]*[.!?]+|[^.!?]+$", text) if sentence.strip()]


def sentence_kind(sentence: str) -> str | None:
    """Which kind of answer sentence this is ("greeting", "step", ...); None when the grammar cannot have written it."""
    for kind, pattern in _patterns().items():
        if pattern.fullmatch(sentence):
            return kind
    return None


def fluency(text: str) -> float:
    """Share of a response's sentences that the grammar could have written, in [0, 1]; 0 for an empty response."""
    sentences = split_sentences(text)
    return (
        sum(sentence_kind(sentence) is not None for sentence in sentences) / len(sentences)
        if sentences
        else 0.0
    )


def _combination_hash(food: str, flavour: str) -> bytes:
    return hashlib.sha256(f"{food}+{flavour}".encode()).digest()


def _draw_prompt(pairs: Sequence[tuple[str, str]], purpose: Purpose, rng: random.Random) -> Prompt:
    food, flavour = rng.choice(pairs)
    topic = Topic(food=food, flavour=flavour, method=rng.choice(METHODS), occasion=rng.choice(OCCASIONS))
    text = rng.choice(QUESTIONS).format(
        food=topic.food, flavour=topic.flavour, method=topic.method, occasion=topic.occasion
    )
    return Prompt(text=text, topic=topic, purpose=purpose)


def draw_plan(rng: random.Random, writer: WriterProfile) -> list[str]:
    """The kinds of sentences of one answer, in order."""
    plan: list[str] = []
    if rng.random() < writer.polite:
        plan.append("greeting")
    elif rng.random() < writer.rude:
        plan.append("rudeness")
    if rng.random() < writer.opening_filler:
        plan.append("filler")
    plan.append("step")
    if rng.random() < writer.reason:
        plan.append("reason")
    if rng.random() < writer.tip:
        plan.append("tip")
    if rng.random() < writer.closing_filler:
        plan.append("filler")
    if rng.random() < writer.wish:
        plan.append("wish")
    return plan


def _render(
    plan: Sequence[str],
    *,
    food: str,
    flavour: str,
    topic: Topic,
    rng: random.Random,
    says_instead: bool = False,
) -> str:
    """The text of a plan. Draws the same numbers of `rng` whatever the food, which contrast pairs rely on."""
    slots = {
        "food": food,
        "flavour": flavour,
        "method": topic.method if rng.random() < 0.5 else rng.choice(METHODS),
        "occasion": topic.occasion,
        "side": rng.choice(SIDES),
        "minutes": rng.choice(MINUTES),
        "instead": " instead" if says_instead else "",
    }
    sentences: list[str] = []
    for kind in plan:
        # No sentence twice: two fillers in one answer are two different ones.
        choices = [template for template in SENTENCES[kind] if template.format(**slots) not in sentences]
        sentences.append(rng.choice(choices).format(**slots))
    return " ".join(sentences)


def _other(words: Sequence[str], word: str, rng: random.Random) -> str:
    return rng.choice([candidate for candidate in words if candidate != word])


@cache
def _texts_per_pair() -> int:
    """How many different questions exist for one (food, flavour) pair."""
    sizes = (
        (len(METHODS) if "{method}" in question else 1) * (len(OCCASIONS) if "{occasion}" in question else 1)
        for question in QUESTIONS
    )
    return sum(sizes)


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """One pattern per kind of sentence; a slot matches exactly its words."""
    patterns: dict[str, re.Pattern[str]] = {}
    for kind, templates in SENTENCES.items():
        alternatives = [
            re.sub(
                r"\\\{(\w+)\\\}",
                lambda match: f"(?:{'|'.join(SLOTS.get(match[1], ('', ' instead')))})",
                re.escape(template),
            )
            for template in templates
        ]
        patterns[kind] = re.compile("|".join(alternatives))
    return patterns
