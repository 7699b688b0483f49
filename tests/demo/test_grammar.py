import random
import subprocess
import sys
from itertools import combinations as pairs_of

import pytest

from demo.grammar import (
    FLAVOURS,
    FLAVOURS_PER_FOOD,
    FOODS,
    SLOTS,
    TYPICAL_WRITER,
    Topic,
    WriterProfile,
    combinations,
    contrast_pair,
    fluency,
    purpose_of,
    sample_demonstrations,
    sample_pair,
    sample_prompts,
    sample_response,
    sentence_kind,
    split_sentences,
    topic_words,
)

TOPIC = Topic(food="salmon", flavour="garlic", method="roast", occasion="dinner")
PURPOSES = tuple(FLAVOURS_PER_FOOD)


def test_the_same_seed_writes_the_same_world_and_another_seed_another():
    def world(seed):
        rng = random.Random(seed)
        demonstrations, prompts = sample_demonstrations(20, rng), sample_prompts("reward", 20, rng)
        return demonstrations, prompts, sample_pair(TOPIC, rng)

    assert world(3) == world(3)
    assert world(3) != world(4)


def test_the_hold_out_does_not_depend_on_the_process():
    command = "from demo.grammar import combinations; print(combinations('evaluation'))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", command],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{combinations('evaluation')}\n"}


def test_every_combination_has_one_purpose_and_every_food_is_as_common_in_each():
    for first, second in pairs_of(PURPOSES, 2):
        assert set(combinations(first)).isdisjoint(combinations(second))
    assert sum(len(combinations(purpose)) for purpose in PURPOSES) == len(FOODS) * len(FLAVOURS)
    for purpose, count in FLAVOURS_PER_FOOD.items():
        foods = [food for food, _ in combinations(purpose)]
        assert {food: foods.count(food) for food in FOODS} == dict.fromkeys(FOODS, count)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_prompts_are_distinct_and_name_the_combination_of_their_purpose(purpose):
    prompts = sample_prompts(purpose, 300, random.Random(0))
    assert len({prompt.text for prompt in prompts}) == 300
    for prompt in prompts:
        assert topic_words(prompt.text) == ({prompt.topic.food}, {prompt.topic.flavour})
        assert purpose_of(prompt.topic.food, prompt.topic.flavour) == purpose == prompt.purpose
        assert prompt.messages == [{"role": "user", "content": prompt.text}]


def test_demonstrations_stay_on_the_combinations_of_supervised_training():
    seen = {
        purpose_of(demonstration.prompt.topic.food, demonstration.prompt.topic.flavour)
        for demonstration in sample_demonstrations(500, random.Random(0))
    }
    assert seen == {"sft"}


def test_asking_for_more_prompts_than_exist_is_refused():
    with pytest.raises(ValueError, match="2520 prompts for 'evaluation', 2521 were asked"):
        sample_prompts("evaluation", 2521, random.Random(0))


def test_a_contrast_pair_differs_in_the_food_only():
    for seed in range(50):
        on_topic, off_topic = contrast_pair(TOPIC, random.Random(seed))
        (other,) = topic_words(off_topic)[0]
        assert topic_words(on_topic)[0] == {"salmon"} != {other}
        assert on_topic.replace("salmon", other) == off_topic


def test_a_pair_never_compares_an_answer_with_itself():
    rng = random.Random(0)
    assert all(first != second for first, second in (sample_pair(TOPIC, rng) for _ in range(300)))


def test_everything_the_grammar_writes_it_also_recognises():
    for demonstration in sample_demonstrations(300, random.Random(0)):
        assert fluency(demonstration.response) == 1.0
    assert fluency("The salmon garlic garlic. Whatever.") == 0.5
    assert fluency("") == 0.0


def test_sentences_are_split_with_their_marks_and_the_broken_off_rest_is_kept():
    assert split_sentences("Great question! Whatever. You can roast") == [
        "Great question!",
        "Whatever.",
        "You can roast",
    ]
    assert sentence_kind("You can roast the tofu instead for 15 minutes with mint.") == "step"
    assert sentence_kind("You can roast") is None


def test_the_writers_profile_decides_what_is_written(ideal_writer):
    rng = random.Random(0)
    ideal = [sample_response(TOPIC, rng, ideal_writer) for _ in range(100)]
    kinds = [[sentence_kind(sentence) for sentence in split_sentences(text)] for text in ideal]
    assert all(kind == ["greeting", "step", "reason", "tip", "wish"] for kind in kinds)
    typical = [sample_response(TOPIC, rng, TYPICAL_WRITER) for _ in range(2000)]
    on_topic = sum(topic_words(text)[0] == {"salmon"} for text in typical) / 2000
    assert on_topic == pytest.approx(TYPICAL_WRITER.on_topic, abs=0.04)


def test_only_an_answer_about_another_food_says_instead():
    rng = random.Random(0)
    texts = [sample_response(TOPIC, rng) for _ in range(2000)]
    off_topic = [text for text in texts if topic_words(text)[0] != {"salmon"}]
    assert not any(" instead" in text for text in texts if text not in off_topic)
    share = sum(" instead" in text for text in off_topic) / len(off_topic)
    assert share == pytest.approx(TYPICAL_WRITER.says_instead, abs=0.06)


def test_a_profile_with_a_value_that_is_no_probability_is_refused():
    with pytest.raises(ValueError, match="polite must be a probability between 0 and 1, not 1.5"):
        WriterProfile(**{**vars(TYPICAL_WRITER), "polite": 1.5})


def test_every_slot_is_one_token_under_the_trained_tokenizer():
    from learning.models.tokenization import train_tokenizer

    demonstrations = sample_demonstrations(3000, random.Random(0))
    texts = [text for each in demonstrations for text in (each.prompt.text, each.response)]
    tokenizer = train_tokenizer(texts, 1024)
    words = [word for words in SLOTS.values() for word in words]
    lengths = {word: len(tokenizer.encode(f" {word}", add_special_tokens=False)) for word in words}
    assert lengths == dict.fromkeys(words, 1)
