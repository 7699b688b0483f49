"""What simple rules reach on the pairs of a `trl` export.

    python -m benchmarks.real_run.pair_baselines FOLDER [--reward-model DIR]

FOLDER is what `manage.py export_preferences PROJECT FOLDER --format trl` wrote; its splits are the ones the
project's reward models train and validate on. Two rules: the longer answer wins; a logistic regression on
differences of word and word-pair counts, trained on the train split (regularisation chosen there, by
cross-validation). With --reward-model, that model's accuracy on the same pairs.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import diags
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score

from benchmarks.real_run.intervals import cluster_bootstrap
from learning.interface.proportions import wilson_interval
from learning.interface.training_options import BatchOptions
from learning.interface.vocabulary import SPLITS
from rewardmodel.training.scoring import RewardScorer

REGULARIZATION_STRENGTHS = (0.0006, 0.002, 0.006, 0.02, 0.06, 0.2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reward-model", type=Path)
    parser.add_argument("--max-prompt-tokens", type=int, default=256, help="as in the model's training")
    parser.add_argument("--max-response-tokens", type=int, default=192, help="as in the model's training")
    arguments = parser.parse_args()
    batch = BatchOptions(
        max_prompt_tokens=arguments.max_prompt_tokens, max_response_tokens=arguments.max_response_tokens
    )
    pairs = {split: read_pairs(arguments.folder, split) for split in SPLITS}
    bag = BagOfWords(pairs["train"])
    print(f"{len(pairs['train'])} training pairs; bag of words: {bag.words} features, C = {bag.strength:g}")
    heldout = {split: pairs[split] for split in ("validation", "test")}
    heldout["validation + test"] = pairs["validation"] + pairs["test"]
    for name, heldout_pairs in heldout.items():
        prompts = [str(pair["prompt"]) for pair in heldout_pairs]
        print(f"{name}, n = {len(heldout_pairs)} pairs of {len(set(prompts))} prompts")
        report("longer wins", longer_wins(heldout_pairs), prompts)
        report("bag of words", bag.accuracies(heldout_pairs), prompts)
        if arguments.reward_model:
            model_accuracies = reward_model_accuracies(arguments.reward_model, batch, heldout_pairs)
            report("reward model", model_accuracies, prompts)


def read_pairs(folder: Path, split: str) -> list[dict[str, Any]]:
    rows = []
    for path in sorted((folder / "data").glob(f"{split}-*.parquet")):
        rows += pq.read_table(path, columns=["prompt", "chosen", "rejected"]).to_pylist()
    return rows


def response_text(response: Any) -> str:
    return response if isinstance(response, str) else response[-1]["content"]


def longer_wins(pairs: list[dict[str, Any]]) -> np.ndarray:
    """1 where the chosen answer has more characters, 0.5 where both have as many."""
    lengths = np.array(
        [[len(response_text(pair["chosen"])), len(response_text(pair["rejected"]))] for pair in pairs]
    )
    return (lengths[:, 0] > lengths[:, 1]) + 0.5 * (lengths[:, 0] == lengths[:, 1])


class BagOfWords:
    """P(chosen over rejected) = sigmoid(w . (counts of chosen - counts of rejected)), no intercept."""

    def __init__(self, pairs: list[dict[str, Any]]) -> None:
        texts = [response_text(pair[name]) for pair in pairs for name in ("chosen", "rejected")]
        self._counts = CountVectorizer(ngram_range=(1, 2), min_df=3, token_pattern=r"\w+|[^\w\s]").fit(texts)
        # A pair and its mirror image cost the same without an intercept: every second one is mirrored, so that
        # there are two classes.
        signs = np.where(np.arange(len(pairs)) % 2, -1.0, 1.0)
        features, labels = diags(signs) @ self._differences(pairs), signs > 0
        groups = [str(pair["prompt"][0]) for pair in pairs]
        quality = {
            c: cross_val_score(self._model(c), features, labels, groups=groups, cv=GroupKFold(5)).mean()
            for c in REGULARIZATION_STRENGTHS
        }
        self.strength = max(quality, key=quality.__getitem__)
        self._fitted = self._model(self.strength).fit(features, labels)
        self.words = len(self._counts.vocabulary_)

    def accuracies(self, pairs: list[dict[str, Any]]) -> np.ndarray:
        return pair_accuracies(self._fitted.decision_function(self._differences(pairs)))

    def scores(self, texts: list[str]) -> np.ndarray:
        """What the model gives each text by itself; only differences mean something."""
        return np.asarray(self._counts.transform(texts) @ self._fitted.coef_[0])

    def _differences(self, pairs: list[dict[str, Any]]) -> Any:
        chosen = self._counts.transform([response_text(pair["chosen"]) for pair in pairs])
        return (chosen - self._counts.transform([response_text(pair["rejected"]) for pair in pairs])).astype(
            float
        )

    @staticmethod
    def _model(strength: float) -> LogisticRegression:
        return LogisticRegression(C=strength, fit_intercept=False, max_iter=2000)


def reward_model_accuracies(folder: Path, batch: BatchOptions, pairs: list[dict[str, Any]]) -> np.ndarray:
    rewards = np.array(
        RewardScorer.load(str(folder), batch=batch).score(
            [pair["prompt"] for pair in pairs],
            [[response_text(pair["chosen"]), response_text(pair["rejected"])] for pair in pairs],
        )
    )
    return pair_accuracies(rewards[:, 0] - rewards[:, 1])


def pair_accuracies(differences: np.ndarray) -> np.ndarray:
    """1 where the chosen response has the higher score, 0.5 where both have the same."""
    return (differences > 0) + 0.5 * (differences == 0)


def report(name: str, accuracies: np.ndarray, prompts: list[str]) -> None:
    """Prints the accuracy with Wilson's interval.

    Where prompts have several pairs, which are not independent, also with a bootstrap interval over prompts.
    Raises ValueError without pairs.
    """
    if not len(accuracies):
        raise ValueError("an accuracy needs at least one pair, found n = 0")
    low, high = wilson_interval(float(accuracies.sum()), len(accuracies))
    line = f"  {name:<14}{accuracies.mean():.3f}  95 % [{low:.3f}, {high:.3f}]"
    if len(set(prompts)) < len(prompts):
        low, high = cluster_bootstrap(prompts, lambda indices: float(accuracies[indices].mean()))
        line += f"  over prompts [{low:.3f}, {high:.3f}]"
    print(line)


if __name__ == "__main__":
    main()
