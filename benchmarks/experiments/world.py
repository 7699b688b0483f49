"""The demonstration's world in shorthand: a word stands for a sentence of demo.grammar, so that a model of 70,000
parameters learns to answer within half a minute and a whole PPO run takes ten seconds.

"salmon cumin dinner" is a question. "greet0 salmon cumin why1" is an answer: a greeting, a step about salmon and cumin,
a reason. `render` writes the sentences out, and demo.gold_judge scores them unchanged. Words that say nothing there (a
method, a reason before any step) count as garbled, as in the demonstration.

Sizes and learning rates are the first that were tried, and are the same for all studies.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from demo import grammar
from demo.gold_judge import gold_score
from learning.models.tokenization import BOS, CHAT_TEMPLATE, EOS, PAD

FOODS, FLAVOURS, OCCASIONS, METHODS = (
    grammar.FOODS[:8],
    grammar.FLAVOURS[:8],
    grammar.OCCASIONS,
    grammar.METHODS,
)
KINDS = {
    "greet": grammar.GREETINGS,
    "rude": grammar.RUDENESS,
    "why": grammar.REASONS,
    "tip": grammar.TIPS,
    "wish": grammar.WISHES,
    "fill": grammar.FILLERS,
}
SHORT_FOR = {
    "greeting": "greet",
    "rudeness": "rude",
    "reason": "why",
    "tip": "tip",
    "wish": "wish",
    "filler": "fill",
}
WORDS = [
    *FOODS,
    *FLAVOURS,
    *OCCASIONS,
    *METHODS,
    *(f"{kind}{place}" for kind, sentences in KINDS.items() for place in range(len(sentences))),
]
ROLES = ["<|user|>", "<|assistant|>"]
UNKNOWN = "<|unk|>"

MAX_PROMPT_TOKENS = 8
MAX_RESPONSE_TOKENS = 20  # a usual answer has 5
HELD_OUT_PROMPTS = 128  # of the 320 there are


def save_tokenizer(folder: Path) -> None:
    vocabulary = {word: place for place, word in enumerate([PAD, BOS, EOS, UNKNOWN, *ROLES, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNKNOWN,
        extra_special_tokens=ROLES,
        chat_template=CHAT_TEMPLATE,
        padding_side="right",
    ).save_pretrained(folder)


def render(response: str) -> str:
    """The sentences that a shorthand answer stands for; reasons and tips speak of what was named last."""
    food = flavour = None
    sentences, words, place = [], response.split(), 0
    while place < len(words):
        word = words[place]
        place += 1
        if word in FOODS and place < len(words) and words[place] in FLAVOURS:
            food, flavour = word, words[place]
            place += 1
            sentences.append(f"Put the {food} in a hot pan and add some {flavour}.")
            continue
        template = KINDS[word[:-1]][int(word[-1])] if word[:-1] in KINDS else None
        if template is None or ("{" in template and food is None):
            sentences.append(f"{word}.")
        else:
            sentences.append(template.format(food=food, flavour=flavour))
    return " ".join(sentences)


def gold(prompt: str, response: str, *, ended: bool) -> float:
    """Points of the gold judge for a shorthand answer; nothing trains on it."""
    return gold_score([{"role": "user", "content": prompt}], render(response), finished=ended)


def questions() -> list[tuple[str, str, str]]:
    """(text, food, flavour) of all 320, in an order that never changes; the first are held out."""
    found = [
        (f"{food} {flavour} {when}", food, flavour)
        for food in FOODS
        for flavour in FLAVOURS
        for when in OCCASIONS
    ]
    random.Random(1).shuffle(found)
    return found


def write_answer(food: str, flavour: str, rng: random.Random) -> str:
    """As the demonstration's typical writer would answer."""
    writer = grammar.TYPICAL_WRITER
    named = food if rng.random() < writer.on_topic else rng.choice(FOODS)
    spice = flavour if rng.random() < writer.right_flavour else rng.choice(FLAVOURS)
    words: list[str] = []
    for kind in grammar.draw_plan(rng, writer):
        if kind == "step":
            words.append(f"{named} {spice}")
        else:
            short = SHORT_FOR[kind]
            words.append(rng.choice([word for word in WORDS if word[:-1] == short and word not in words]))
    return " ".join(words)


def write_text(rng: random.Random) -> str:
    """Pretraining text, which has nothing to do with answers: eight methods in a row, the next one or the one after."""
    place = rng.randrange(len(METHODS))
    words = []
    for _ in range(8):
        words.append(METHODS[place])
        place = (place + (1 if rng.random() < 0.75 else 2)) % len(METHODS)
    return " ".join(words)


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def prompt_rows(asked: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """Of record_schemas.PROMPTS; the first HELD_OUT_PROMPTS are of split validation."""
    return [
        {
            "prompt_id": f"p{place}",
            "messages": user(text),
            "kind": "plain",
            "split": "validation" if place < HELD_OUT_PROMPTS else "train",
            "author": None,
            "tags": [],
        }
        for place, (text, _, _) in enumerate(asked)
    ]
