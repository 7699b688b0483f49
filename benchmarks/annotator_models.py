"""Annotator models against majority vote: on simulated crowds, whose truth is known, and on published ones.

    .venv/bin/python -m benchmarks.annotator_models [--data FOLDER]

Simulated: 40 annotators, 3 votes a pair with ties and four grades; 6 guess, 1 answers the other way round, 5 prefer
what is shown first. With --data the folder of the published sets (docs/benchmarks.md names them): UKPConvArg1 (workers'
competences were published with it) and the 1,000 items of Barzan Mozafari's crowd, whose truth is known.
"""

import argparse
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annotation.quality.crowd_models import dawid_skene, label_shares, mace
from annotation.quality.graded_model import PairVotes, consensus, fit_crowd

CUTS = (0.5, 1.2, 2.2, 3.2)  # the tie, and where each grade begins
SEEDS = range(5)


@dataclass(frozen=True)
class SimulatedCrowd:
    difference_U: Any
    ability_A: Any
    side_A: Any
    votes: PairVotes

    def preference_U(self) -> Any:
        """What annotators of mean ability who see neither side first prefer, ties half."""
        mean = self.ability_A.mean() * self.difference_U
        return (1 + _logistic(mean - CUTS[0]) - _logistic(-mean - CUTS[0])) / 2


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def simulate(
    seed: int,
    *,
    pairs: int = 2000,
    votes_each: int = 3,
    annotators: int = 40,
    graded: bool = True,
    difference_U: Any = None,
) -> SimulatedCrowd:
    """`difference_U`: how much better the first of each pair is, where it is not to be drawn."""
    generator = np.random.default_rng(seed)
    difference = generator.normal(size=pairs) if difference_U is None else difference_U
    pairs = len(difference)
    ability = np.abs(generator.normal(1.8, 0.5, annotators))
    ability[:6] = 0
    ability[6] *= -1
    side_A = generator.normal(0, 0.2, annotators)
    side_A[-5:] = 2
    unit = np.repeat(np.arange(pairs), votes_each)
    annotator = np.concatenate([generator.permutation(annotators)[:votes_each] for _ in range(pairs)])
    shown = generator.choice([-1, 1], len(unit))
    perceived = ability[annotator] * difference[unit] + side_A[annotator] * shown
    perceived += generator.logistic(size=len(unit))
    sign = np.where(np.abs(perceived) <= CUTS[0], 0, np.sign(perceived)).astype(int)
    grade = np.where(sign == 0, -1, np.searchsorted(CUTS, np.abs(perceived)) - 1)
    grade = grade if graded else np.full(len(unit), -1)
    return SimulatedCrowd(difference, ability, side_A, PairVotes(unit, annotator, sign, grade, shown))


def compare(crowd: SimulatedCrowd) -> dict[str, float]:
    """Accuracy of whom the consensus prefers (an even vote counts half), how often its interval holds the truth,
    errors of the soft label, and correlations of what was found of the annotators with what they are.
    """
    votes, truth = crowd.votes, crowd.difference_U > 0
    share = np.bincount(votes.unit_N, (1 + votes.sign_N) / 2) / np.bincount(votes.unit_N)
    fitted = fit_crowd(votes)
    found = consensus(votes, fitted)
    skene = dawid_skene(votes.unit_N, votes.annotator_N, votes.sign_N + 1, 3).posterior_IC
    maced = mace(votes.unit_N, votes.annotator_N, votes.sign_N + 1, 3, restarts=3).posterior_IC
    actual = crowd.preference_U()

    def accuracy(preference: Any) -> float:
        return float(np.where(preference == 0.5, 0.5, (preference > 0.5) == truth).mean())

    return {
        "majority vote": accuracy(share),
        "Dawid-Skene": accuracy(skene[:, 2] + skene[:, 1] / 2),
        "MACE": accuracy(maced[:, 2] + maced[:, 1] / 2),
        "graded model": accuracy(found.preference_U),
        "coverage of 90 % intervals": float(((found.low_U <= actual) & (actual <= found.high_U)).mean()),
        "soft label, error of the vote": float(np.sqrt(((share - actual) ** 2).mean())),
        "soft label, error of the model": float(np.sqrt(((found.preference_U - actual) ** 2).mean())),
        "ability, correlation": float(np.corrcoef(crowd.ability_A, fitted.ability_A)[0, 1]),
        "side, correlation": float(np.corrcoef(crowd.side_A, fitted.side_A)[0, 1]),
    }


def _rows(folder: Path, name: str) -> list[Any]:
    with gzip.open(folder / name, "rt") as file:
        return [json.loads(line) for line in file]


def _codes(values: list[Any]) -> Any:
    known: dict[Any, int] = {}
    return np.array([known.setdefault(value, len(known)) for value in values])


def published_competences(folder: Path) -> dict[str, float]:
    """MACE on UKPConvArg1, whose authors ran MACE and published what they found of each worker."""
    labels = ["a1", "equal", "a2"]
    votes = [
        (row["uid"], row["topic"], worker, labels.index(value), published)
        for row in _rows(folder, "ukpconvarg1_pairs_4to5_workers.jsonl.gz")
        for worker, value, published in row["judgements"]
    ]
    item, _, worker, label, published = (list(column) for column in zip(*votes, strict=True))
    item_N, worker_N, label_N = _codes(item), _codes(worker), np.array(label)
    found = mace(item_N, worker_N, label_N, 3)
    of_worker = np.zeros(worker_N.max() + 1)
    of_worker[worker_N] = published
    often = np.bincount(worker_N) >= 10
    return {
        "workers": len(of_worker),
        "correlation of competences": float(np.corrcoef(found.competence_A, of_worker)[0, 1]),
        "of workers with 10 or more": float(np.corrcoef(found.competence_A[often], of_worker[often])[0, 1]),
        "their mean absolute difference": float(np.abs(found.competence_A - of_worker)[often].mean()),
    }


def known_truth(folder: Path) -> dict[str, float]:
    rows = _rows(folder, "barzan_binary_crowd_labels_with_gold.jsonl.gz")
    item_N, worker_N = _codes([row["item"] for row in rows]), _codes([row["worker"] for row in rows])
    label_N = np.array([row["label"] for row in rows])
    gold = np.zeros(item_N.max() + 1, dtype=int)
    gold[item_N] = [row["gold"] for row in rows]
    return {
        name: float((posterior.argmax(axis=1) == gold).mean())
        for name, posterior in {
            "majority vote": label_shares(item_N, label_N, len(gold), 2),
            "Dawid-Skene": dawid_skene(item_N, worker_N, label_N, 2).posterior_IC,
            "MACE": mace(item_N, worker_N, label_N, 2).posterior_IC,
        }.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="Folder of the published sets.")
    options = parser.parse_args()
    results = [compare(simulate(seed)) for seed in SEEDS]
    print(f"simulated crowds, seeds {list(SEEDS)}")
    for name in results[0]:
        values = [result[name] for result in results]
        print(f"  {name:32} {np.mean(values):.3f}   " + " ".join(f"{value:.3f}" for value in values))
    if options.data:
        for title, figures in (
            ("UKPConvArg1", published_competences(options.data)),
            ("Barzan Mozafari's crowd, accuracy", known_truth(options.data)),
        ):
            print(title)
            for name, value in figures.items():
                print(f"  {name:32} {value:.3f}" if isinstance(value, float) else f"  {name:32} {value}")


if __name__ == "__main__":
    main()
