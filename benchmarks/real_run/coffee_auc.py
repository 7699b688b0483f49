"""AUC of a reward model and of bags of words on coffee ratings that no training saw.

    python -m benchmarks.real_run.coffee_auc PROJECT REWARD_MODEL RATINGS TRL_FOLDER

RATINGS is ratings.jsonl of convert_coffee.py; TRL_FOLDER the project's pairs, exported with `--format trl`.
A rating is in the split of its prompt under the project's own split rule, so validation and test ratings
are of first questions that no model here has seen. Compared are the reward model, a bag of words trained on
the same pairs, and a bag of words trained on every single rating of the train split, which is far more
data. Intervals: bootstrap over contexts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import django
import numpy as np
from scipy.sparse import hstack
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from benchmarks.real_run.intervals import auc, cluster_bootstrap
from benchmarks.real_run.pair_baselines import BagOfWords, read_pairs
from learning.interface.options import options_to_dict
from learning.interface.record_files import read_records
from learning.interface.record_schemas import RESPONSES, SCORES
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import BatchOptions
from learning.interface.vocabulary import SPLITS
from rewardmodel.training.config import ScoreConfig

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project")
    parser.add_argument("reward_model")
    parser.add_argument("ratings", type=Path)
    parser.add_argument("trl_folder", type=Path)
    arguments = parser.parse_args()
    salt, model_path = split_salt_and_model(arguments.project, arguments.reward_model)
    rows = [json.loads(line) for line in arguments.ratings.read_text(encoding="utf-8").splitlines()]
    assign_splits(rows, salt)
    for split in SPLITS:
        part = [row for row in rows if row["split"] == split]
        good = sum(row["reward"] > 0.5 for row in part)
        print(f"{split}: {len(part)} ratings of {len({row['group'] for row in part})} contexts, {good} good")
    scores = {
        "reward model": reward_model_scores(rows, model_path),
        "bag of words, same pairs": BagOfWords(read_pairs(arguments.trl_folder, "train")).scores(
            [row["response"] for row in rows]
        ),
        "bag of words, all ratings": rating_scores(rows),
        "length": np.array([len(row["response"]) for row in rows], dtype=float),
    }
    for splits in (("validation",), ("test",), ("validation", "test")):
        indices = [index for index, row in enumerate(rows) if row["split"] in splits]
        print(f"{' + '.join(splits)}, n = {len(indices)}")
        for name, values in scores.items():
            report(name, values[indices], [rows[index] for index in indices])


def split_salt_and_model(slug: str, reward_model: str) -> tuple[str, Path]:
    """The project's split salt and the folder of one of its reward models."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from rewardmodel.models import RewardModel
    from workspace.models import Project

    project = Project.objects.get(slug=slug)
    model = RewardModel.objects.select_related("artifact").get(project=project, name=reward_model)
    return project.split_salt, model.artifact.absolute_path


def assign_splits(rows: list[Row], salt: str) -> None:
    from annotation.content.splits import assign_split

    for row in rows:
        row["split"] = assign_split(row["prompt"], salt)
        row["group"] = json.dumps(row["prompt"])


def reward_model_scores(rows: list[Row], model_path: Path) -> np.ndarray:
    """Scores from the platform's own command, in the order of the rows."""
    config = ScoreConfig(
        model_path=str(model_path), batch=BatchOptions(max_prompt_tokens=256, max_response_tokens=64)
    )
    responses = (
        {
            "response_id": row["uid"], "prompt_id": str(number), "prompt": row["prompt"], "text": row["response"],
            "source": "import", "policy": None, "sampling": None, "created_at": "2024-01-01T00:00:00+00:00",
        }
        for number, row in enumerate(rows)
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory.create(
            Path(folder) / "score",
            command="rewardmodel.training.score",
            config=options_to_dict(config),
            inputs={"responses": (responses, RESPONSES)},
        )
        subprocess.run([sys.executable, "-m", "rewardmodel.training.score", str(run.path)], check=True)
        rewards = {
            row["response_id"]: row["reward"] for row in read_records(run.path / "scores.parquet", SCORES)
        }
    return np.array([rewards[row["uid"]] for row in rows])


def rating_scores(rows: list[Row]) -> np.ndarray:
    """Logistic regression on counts of the response and of the turn before it, trained on single ratings."""
    responses, questions = [row["response"] for row in rows], [row["prompt"][-1]["content"] for row in rows]
    train = np.array([row["split"] == "train" for row in rows])
    features = hstack([word_counts(responses, train), word_counts(questions, train)]).tocsr()
    labels = np.array([row["reward"] > 0.5 for row in rows])
    model = LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000).fit(
        features[train], labels[train]
    )
    return np.asarray(model.decision_function(features))


def word_counts(texts: list[str], train: np.ndarray) -> Any:
    vectorizer = CountVectorizer(ngram_range=(1, 2), min_df=3, token_pattern=r"\w+|[^\w\s]")
    vectorizer.fit([text for text, is_train in zip(texts, train, strict=True) if is_train])
    return vectorizer.transform(texts).astype(float)


def report(name: str, values: np.ndarray, rows: list[Row]) -> None:
    labels = np.array([row["reward"] for row in rows])
    low, high = cluster_bootstrap(
        [row["group"] for row in rows], lambda indices: auc(values[indices], labels[indices])
    )
    print(f"  {name:<26}{auc(values, labels):.3f}  95 % [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
