"""Measuring on tasks: figures by hand and by plain transformers, and the real command."""

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from learning.interface.options import UserError
from learning.interface.training_options import ModelSource
from policy_training.training.evaluation import benchmark
from policy_training.training.evaluation.answer_patterns import AnswerPattern, is_right_answer
from policy_training.training.evaluation.config import BenchmarkConfig
from policy_training.training.evaluation.figures import (
    choice_figures,
    generation_figures,
    is_exact,
    mean_figure,
    ratio_figure,
    rouge_scores,
    share_figure,
)
from tests.policy_training.training.conftest import BATCH, create_run, in_process, launch, question


def item(task="animals", kind="choice", **values):
    row = {"task": task, "kind": kind, "text": None, "prompt": None, "choices": None, "answers": None}
    return row | {"is_example": False} | values


def test_intervals_are_those_of_the_textbooks():
    # Wilson of 8 of 10: Newcombe 1998 has 0.4902 to 0.9433.
    assert share_figure([True] * 8 + [False] * 2) == pytest.approx(
        {"value": 0.8, "low": 0.4902, "high": 0.9433}, abs=1e-4
    )
    values = [1.0, 2.0, 4.0, 9.0]
    half = 1.959964 * np.std(values, ddof=1) / 2
    assert mean_figure(values) == pytest.approx({"value": 4, "low": 4 - half, "high": 4 + half}, abs=1e-5)
    # Of equal denominators the ratio is a mean.
    assert ratio_figure(values, [2.0] * 4) == pytest.approx(
        {"value": 2, "low": 2 - half / 2, "high": 2 + half / 2}, abs=1e-5
    )
    assert mean_figure([3.0]) == {"value": 3.0, "low": 3.0, "high": 3.0}


def test_the_ratio_s_interval_holds_the_truth_in_about_95_of_100_draws():
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        lengths = rng.integers(5, 50, size=60).astype(float)
        lost = lengths * 2.5 + rng.normal(0, 3, size=60)
        found = ratio_figure(list(lost), list(lengths))
        held += found["low"] <= 2.5 <= found["high"]
    assert 0.91 <= held / 400 <= 0.98


def test_long_choices_lose_by_the_sum_and_not_by_the_mean():
    figures = choice_figures([[-2.0, -3.0]], [["no", "certainly"]], ["certainly"])
    assert (figures["accuracy"]["value"], figures["accuracy_normalized"]["value"]) == (0.0, 1.0)


def test_exact_match_reads_words_of_any_script_and_signs_as_they_are():
    assert is_exact(" The  ANSWER, is: 42.", ["the answer is 42"])
    assert not is_exact("answer is 42", ["the answer is 42"])
    assert is_exact("Ärger\n", ["ärger"]) and not is_exact("Arger", ["Ärger"])
    assert is_exact("四十二。", ["四十二"])
    assert is_exact(" + ", ["+"]) and not is_exact("-", ["+"])


def test_an_answer_pattern_reads_the_last_answer_and_numbers_by_their_value():
    gsm8k = AnswerPattern(r"#### *(-?[0-9.,]+)", task="sums")  # its answers end so
    texts = ["3 + 4 = 7\n#### 7", "#### 8\nNo: #### 1,234.0", "It is 7.", "#### -3"]
    found = [gsm8k.answer_in(text) for text in texts]
    assert found == ["7", "1,234.0", None, "-3"]
    answers = [["7", "seven"], ["1234"], ["7"], ["3"]]
    right = [is_right_answer(one, own) for one, own in zip(found, answers, strict=True)]
    assert right == [True, True, False, False]
    words = AnswerPattern(r"(?i)answer: (.*)", task="capitals")
    assert is_right_answer(words.answer_in("ANSWER:  Paris.\n"), ["paris"])
    figures = generation_figures(texts, answers, right=right, found=[one is not None for one in found])
    assert (figures["exact_match"]["value"], figures["answer_found"]["value"]) == (0.5, 0.75)


def test_an_answer_pattern_that_would_take_for_ever_is_ended():
    slow = AnswerPattern(r"^((?:a|aa)+)$", task="slow", seconds_a_text=0.01)
    for _ in range(20):
        assert slow.answer_in("a" * 200 + "b") is None
    assert slow.timeouts == 20
    with pytest.raises(
        UserError, match="answer_pattern of the task 'slow' took longer than 0.01 s on 21 texts"
    ):
        slow.answer_in("a" * 200 + "b")


@pytest.mark.parametrize(
    ("pattern", "said"), [("a(", "cannot be read"), ("(a)(b)", "has 2 groups"), ("a", "has 0")]
)
def test_an_answer_pattern_has_one_group(pattern, said):
    with pytest.raises(UserError, match=f"inputs/items: the answer_pattern of the task 't' {said}"):
        AnswerPattern(pattern, task="t")


def test_rouge_by_hand():
    """Lin 2004. the cat sat / the cat sat down: unigrams 3 of 3 and of 4, bigrams 2 of 2 and of 3, longest common
    sequence 3. Umlauts count; of two answers the closer one does.
    """
    found = rouge_scores(["The cat sat.", "grüne Äpfel"], [["the cat sat down", "dogs"], ["grüne Birnen"]])
    assert found["rouge1"] == pytest.approx([6 / 7, 1 / 2])
    assert found["rouge2"] == pytest.approx([4 / 5, 0.0])
    assert found["rougeL"] == pytest.approx([6 / 7, 1 / 2])
    figures = generation_figures(["yes", "no"], [["yes"], ["yes"]])
    assert figures["exact_match"]["value"] == 0.5 and figures["rougeL"]["value"] == 0.5


def test_the_command_measures_what_plain_transformers_says(tmp_path, policy_path):
    texts = ["A fox is a fox.", "An owl sees the whole night long, says the mouse."]
    choices = ["It is a fox.", "No.", "It is a whale, please."]
    rows = [
        *(item("texts", "perplexity", text=text) for text in texts),
        item(prompt=question("owl", 1), choices=None, answers=["An owl."], is_example=True),
        *(item(prompt=question("fox", n), choices=choices, answers=["It is a fox."]) for n in range(2)),
        item("free", "generation", prompt=question("bear", 3), answers=["a bear"]),
        # Whatever it says, its answer is the empty text at its end.
        item("end", "generation", prompt=question("bear", 3), answers=["+"], answer_pattern=r"()\Z"),
    ]
    config = BenchmarkConfig(policy=ModelSource(path=str(policy_path)), batch=BATCH, few_shot=0)
    run = create_run(tmp_path / "run", "benchmark", config, items=rows)
    launch(run)
    tasks = run.result()["tasks"]
    assert [(name, own["kind"], own["items"], own["examples"]) for name, own in tasks.items()] == [
        ("texts", "perplexity", 2, 0), ("animals", "choice", 2, 0), ("free", "generation", 1, 0),
        ("end", "generation", 1, 0),
    ]  # fmt: skip

    model, tokenizer = (
        loader.from_pretrained(policy_path) for loader in (AutoModelForCausalLM, AutoTokenizer)
    )

    def loss(context, ids):
        """Of each token of `ids`, nats."""
        with torch.no_grad():
            logits = model(torch.tensor([[*context, *ids]])).logits[0].double().log_softmax(-1)
        return [-float(logits[len(context) + place - 1, token]) for place, token in enumerate(ids)]

    def plain(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    # A text longer than the limit goes on in a piece of its own; these fit.
    lost = [loss([tokenizer.bos_token_id], [*plain(text), tokenizer.eos_token_id]) for text in texts]
    total, count = sum(map(sum, lost)), sum(map(len, lost))
    figures = tasks["texts"]["figures"]
    assert figures["perplexity"]["value"] == pytest.approx(math.exp(total / count), rel=1e-4)
    n_bytes = sum(len(text.encode()) for text in texts)
    assert figures["bits_per_byte"]["value"] == pytest.approx(total / math.log(2) / n_bytes, rel=1e-4)
    assert tasks["texts"]["tokens"] == count

    right = {"accuracy": 0, "accuracy_normalized": 0}
    for n in range(2):
        context = tokenizer.apply_chat_template(
            question("fox", n), add_generation_prompt=True, return_dict=False
        )
        values = [-sum(loss(context, plain(choice))) for choice in choices]
        right["accuracy"] += values.index(max(values)) == 0
        each = [value / len(choice) for value, choice in zip(values, choices, strict=True)]
        right["accuracy_normalized"] += each.index(max(each)) == 0
    for name, n in right.items():
        assert tasks["animals"]["figures"][name]["value"] == n / 2
    assert tasks["animals"]["chance"] == pytest.approx(1 / 3)

    context = tokenizer.apply_chat_template(
        question("bear", 3), add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        said = model.generate(
            **context, do_sample=False, max_new_tokens=BATCH.max_response_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
    expected = tokenizer.decode(said[0, context["input_ids"].shape[1] :], skip_special_tokens=True)
    [sample] = [row for row in run.samples(20) if row["task"] == "free"]
    assert sample["said"] == expected and sample["right"] == "no"
    assert "answer_found" not in tasks["free"]["figures"]
    assert tasks["end"]["figures"]["answer_found"]["value"] == 1.0
    assert tasks["end"]["figures"]["exact_match"]["value"] == 0.0


def test_examples_stand_before_the_prompt_and_what_does_not_fit_is_said(tmp_path, policy_path):
    example = item(prompt=question("owl", 1), answers=["An owl."], is_example=True)
    asked = item(prompt=question("fox", 2), choices=["a fox", "an owl"], answers=["a fox"])
    wide = BenchmarkConfig(
        policy=ModelSource(path=str(policy_path)),
        batch=type(BATCH)(max_prompt_tokens=48, max_response_tokens=16),
    )
    result = in_process(
        benchmark, BenchmarkConfig, create_run(tmp_path / "a", "benchmark", wide, items=[example, asked])
    )
    assert (result["tasks"]["animals"]["examples"], result["cut_prompts"]) == (1, 0)
    narrow = BenchmarkConfig(policy=wide.policy, batch=BATCH)
    run = create_run(tmp_path / "b", "benchmark", narrow, items=[example, asked])
    assert in_process(benchmark, BenchmarkConfig, run)["cut_prompts"] == 1
    assert "lost their beginning" in run.status().notes[0]
    long = asked | {"choices": ["fox " * 40, "owl"], "answers": ["owl"]}
    with pytest.raises(UserError, match="a choice of the task 'animals' is longer than"):
        in_process(benchmark, BenchmarkConfig, create_run(tmp_path / "c", "benchmark", narrow, items=[long]))
