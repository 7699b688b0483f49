import random
import statistics

import pytest

from demo.gold_judge import NOISE, gold_components, gold_score, judge
from demo.grammar import sample_prompts, sample_response

PROMPT = [{"role": "user", "content": "How long should I roast salmon with garlic?"}]
PLAIN = "You can roast the salmon for 15 minutes with garlic."
POLITE = "Great question! "
REASON = " The salmon stays soft because the heat is low."
TIP = " Tip: let the salmon rest before serving."
FILLER = " You know, cooking is cooking."


@pytest.mark.parametrize(
    ("component", "better", "worse"),
    [
        ("topic", PLAIN, PLAIN.replace("salmon", "cod").replace("cod", "tofu")),
        ("topic", PLAIN, PLAIN + " Tip: let the tofu rest before serving."),
        ("flavour", PLAIN, PLAIN.replace("garlic", "mint")),
        ("politeness", POLITE + PLAIN, PLAIN),
        ("politeness", PLAIN, "Whatever. " + PLAIN),
        ("politeness", PLAIN + " Enjoy your salmon!", PLAIN),
        ("reason", PLAIN + REASON, PLAIN),
        ("tip", PLAIN + TIP, PLAIN),
        ("filler", PLAIN, PLAIN + FILLER),
        ("repetition", PLAIN, f"{PLAIN} {PLAIN}"),
        ("garbled", PLAIN, PLAIN + " The salmon the garlic pan."),
        ("length", PLAIN, " ".join([PLAIN] * 8)),
        ("length", PLAIN, "Great question!"),
        ("ending", PLAIN, PLAIN + " Tip: let the"),
    ],
)
def test_each_part_of_the_gold_score_moves_the_right_way(component, better, worse):
    above, below = (getattr(gold_components(PROMPT, text), component) for text in (better, worse))
    assert above > below


@pytest.mark.parametrize("text", [PLAIN, POLITE + PLAIN + REASON + TIP])
def test_each_fault_lowers_the_whole_score(text):
    score = gold_score(PROMPT, text)
    assert gold_score(PROMPT, text.replace("salmon", "tofu")) == score - 2.5
    assert gold_score(PROMPT, "Whatever. " + text) < score
    assert gold_score(PROMPT, text + FILLER) == score - 0.75
    assert gold_score(PROMPT, text, finished=False) == score - 1.0


def test_the_components_add_up_and_nobody_writes_better_than_an_ideal_writer(ideal_writer):
    rng = random.Random(0)
    for prompt in sample_prompts("evaluation", 100, rng):
        ideal = gold_components(prompt.messages, sample_response(prompt.topic, rng, ideal_writer))
        assert ideal.total == pytest.approx(sum(vars(ideal).values())) == 4.75
        assert gold_score(prompt.messages, sample_response(prompt.topic, rng)) <= 4.75


def test_repeating_what_is_good_does_not_pay():
    once = gold_score(PROMPT, POLITE + PLAIN + REASON + TIP)
    assert gold_score(PROMPT, POLITE + POLITE + PLAIN + REASON + TIP) < once
    assert gold_score(PROMPT, POLITE + PLAIN + REASON + REASON + TIP) < once
    assert gold_score(PROMPT, POLITE + PLAIN + REASON + TIP + TIP) < once


def test_the_topic_is_that_of_the_last_user_turn():
    turns = [
        {"role": "user", "content": "And tofu with mint?"},
        {"role": "assistant", "content": "Whatever."},
    ]
    assert gold_score([*turns, *PROMPT], PLAIN) == gold_score(PROMPT, PLAIN)


@pytest.mark.parametrize("messages", [[], [{"role": "user", "content": "How do I cook salmon?"}]])
def test_a_prompt_of_another_world_is_refused(messages):
    with pytest.raises(ValueError, match="prompt"):
        gold_score(messages, PLAIN)


def test_without_noise_the_verdict_is_the_gold_order_with_ties():
    responses = [
        PLAIN + FILLER,
        PLAIN + REASON,
        "Whatever. " + PLAIN.replace("salmon", "tofu"),
        PLAIN + REASON,
    ]
    verdict = judge(PROMPT, responses, random.Random(0), noise=0.0)
    assert verdict.tiers == [[1, 3], [0], [2]]
    assert verdict.strengths == [2, 3]
    no_ties = judge(PROMPT, responses, random.Random(0), noise=0.0, allow_ties=False)
    assert no_ties.tiers == [[1], [3], [0], [2]]
    assert no_ties.strengths == [0, 2, 3]


def everyday_pairs(count):
    rng = random.Random(1)
    for prompt in sample_prompts("reward", count, rng):
        yield prompt.messages, [sample_response(prompt.topic, rng) for _ in range(2)]


def test_the_noisy_judge_agrees_with_gold_on_about_five_pairs_in_six():
    rng, agreed, by_strength = random.Random(2), [], {}
    for messages, responses in everyday_pairs(4000):
        first, second = (gold_score(messages, response) for response in responses)
        verdict = judge(messages, responses, rng)
        if first == second or len(verdict.tiers) == 1:
            continue
        agrees = (verdict.tiers[0] == [0]) == (first > second)
        agreed.append(agrees)
        by_strength.setdefault(verdict.strengths[0], []).append(agrees)
    assert 0.80 <= statistics.fmean(agreed) <= 0.87
    assert set(by_strength) == {0, 1, 2, 3}
    # A judge who is sure is right more often.
    assert statistics.fmean(by_strength[3]) > statistics.fmean(by_strength[1]) + 0.1


def test_the_noise_is_logistic():
    better, worse = PLAIN + REASON, PLAIN  # one point apart
    rng = random.Random(3)
    won = [
        judge(PROMPT, [better, worse], rng, noise=1.0, allow_ties=False).tiers[0] == [0] for _ in range(8000)
    ]
    assert statistics.fmean(won) == pytest.approx(0.7311, abs=0.02)  # sigmoid(1)


def test_the_place_of_a_response_does_not_matter():
    rng = random.Random(4)
    first = [judge(PROMPT, [PLAIN, PLAIN], rng, allow_ties=False).tiers[0] == [0] for _ in range(3000)]
    assert statistics.fmean(first) == pytest.approx(0.5, abs=0.03)


def test_the_same_random_state_gives_the_same_verdict():
    responses = [PLAIN, PLAIN + REASON, PLAIN + FILLER, PLAIN + TIP]
    assert judge(PROMPT, responses, random.Random(5)) == judge(PROMPT, responses, random.Random(5))


def test_one_response_or_negative_noise_is_refused():
    with pytest.raises(ValueError, match="two or more"):
        judge(PROMPT, [PLAIN], random.Random(0))
    with pytest.raises(ValueError, match="negative"):
        judge(PROMPT, [PLAIN, PLAIN], random.Random(0), noise=NOISE - 10)
