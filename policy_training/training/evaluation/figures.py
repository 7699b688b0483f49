"""What tasks say of a policy: perplexity, multiple choice, exact match and ROUGE, each with a 95 % interval. Pure.

A figure is {value, low, high}; the interval is over items, which are what was drawn.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from learning.interface.proportions import Z_95, wilson_interval

Figure = dict[str, float]
ROUGE = ("rouge1", "rouge2", "rougeL")


def share_figure(right: Sequence[bool]) -> Figure:
    """Wilson's interval (1927)."""
    low, high = wilson_interval(sum(right), len(right))
    return {"value": sum(right) / len(right), "low": low, "high": high}


def mean_figure(values: Sequence[float]) -> Figure:
    """Mean and +-1.96 standard errors; of one value alone nothing is known."""
    n, mean = len(values), math.fsum(values) / len(values)
    if n < 2:
        return {"value": mean, "low": mean, "high": mean}
    half = Z_95 * math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
    return {"value": mean, "low": mean - half, "high": mean + half}


def ratio_figure(numerators: Sequence[float], denominators: Sequence[float]) -> Figure:
    """sum / sum, with the linearised standard error of a ratio of sums (Cochran 1977, 2.11)."""
    n, total = len(numerators), math.fsum(denominators)
    ratio = math.fsum(numerators) / total
    if n < 2:
        return {"value": ratio, "low": ratio, "high": ratio}
    rest = [top - ratio * bottom for top, bottom in zip(numerators, denominators, strict=True)]
    half = Z_95 * math.sqrt(n / (n - 1) * math.fsum(value * value for value in rest)) / total
    return {"value": ratio, "low": ratio - half, "high": ratio + half}


def perplexity_figures(
    logprobs: Sequence[float], tokens: Sequence[int], n_bytes: Sequence[int]
) -> dict[str, Figure]:
    """Of texts, one entry each: the sum of its tokens' log-probabilities (nats), how many they are, its UTF-8 bytes.

    perplexity: exp(-nats / tokens), of models with one tokenizer; bits_per_byte compares any models.
    """
    lost = [-value for value in logprobs]
    per_token = ratio_figure(lost, [float(n) for n in tokens])
    per_byte = ratio_figure(lost, [float(max(n, 1)) for n in n_bytes])
    return {
        "perplexity": {name: math.exp(value) for name, value in per_token.items()},
        "bits_per_byte": {name: value / math.log(2) for name, value in per_byte.items()},
    }


def chosen(logprobs: Sequence[float], choices: Sequence[str], *, normalized: bool) -> int:
    """Place of the likeliest choice (of equal ones the first); normalised by the number of its characters, which keeps
    long choices from losing by their length alone (Brown et al. 2020, 2.4, divide by tokens; characters compare models
    of different tokenizers).
    """
    values = [
        value / len(choice) if normalized else value for value, choice in zip(logprobs, choices, strict=True)
    ]
    return values.index(max(values))


def choice_figures(
    logprobs: Sequence[Sequence[float]], choices: Sequence[Sequence[str]], answers: Sequence[str]
) -> dict[str, Figure]:
    """Accuracy by the choices' log-likelihoods (nats), and by those divided by their lengths."""
    found = {}
    for name, normalized in (("accuracy", False), ("accuracy_normalized", True)):
        right = [
            given[chosen(values, given, normalized=normalized)] == answer
            for values, given, answer in zip(logprobs, choices, answers, strict=True)
        ]
        found[name] = share_figure(right)
    return found


def words_of(text: str) -> list[str]:
    """Words in lower case, of any script; punctuation and accents' spellings do not count."""
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())


def is_exact(text: str, answers: Sequence[str]) -> bool:
    """The same words as one of the answers, in order (SQuAD's exact match, but with every article kept). An answer of
    signs alone is compared as it is.
    """
    words = words_of(text)
    return any(
        words == words_of(answer) if words_of(answer) else text.strip() == answer.strip()
        for answer in answers
    )


class Words:
    """The tokenizer that rouge-score asks for: its own drops every letter beyond a to z."""

    def tokenize(self, text: str) -> list[str]:
        return words_of(text)


def rouge_scores(texts: Sequence[str], answers: Sequence[Sequence[str]]) -> dict[str, list[float]]:
    """F1 of ROUGE-1, -2 and -L (Lin 2004) of each text; of several answers the one that is closest by each."""
    from rouge_score.rouge_scorer import (
        RougeScorer,
    )  # reads nltk, which a run without generated answers needs not

    scorer = RougeScorer(list(ROUGE), tokenizer=Words())
    found = [[scorer.score(answer, text) for answer in own] for text, own in zip(texts, answers, strict=True)]
    return {name: [max(scores[name].fmeasure for scores in own) for own in found] for name in ROUGE}


def generation_figures(
    texts: Sequence[str],
    answers: Sequence[Sequence[str]],
    *,
    right: Sequence[bool] | None = None,
    found: Sequence[bool] | None = None,
) -> dict[str, Figure]:
    """Of a task with an answer pattern `found` says in which texts there is an answer, and `right` whether it is the
    right one, in place of the whole text.
    """
    if right is None:
        right = [is_exact(text, own) for text, own in zip(texts, answers, strict=True)]
    rouge = rouge_scores(texts, answers)
    return {
        "exact_match": share_figure(right),
        **({} if found is None else {"answer_found": share_figure(found)}),
        **{name: mean_figure(values) for name, values in rouge.items()},
    }


def chance(choices: Sequence[Sequence[str]]) -> float:
    """The accuracy of whoever guesses."""
    return math.fsum(1 / len(given) for given in choices) / len(choices)


def by_task(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """In the order of the file."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["task"], []).append(row)
    return found
