"""Best-of-n without training: of n answers the one the proxy likes best, for every n from one pool (Gao et al. 2022).

The pool holds POOL answers of the fine-tuned policy to each held-out question, the same for every reward model;
a seed decides the labels and the reward model.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.experiments import world
from benchmarks.experiments.materials import BATCH, Materials, runtime
from learning.batches.collation import Example
from learning.distributed import DistributedContext
from learning.interface.record_files import read_records
from learning.interface.record_schemas import PROMPTS, SAMPLED_RESPONSES
from learning.models.tokenization import encode_prompt
from policy_training.training.config import SampleConfig, SampleOptions
from policy_training.training.sampling import sample
from rewardmodel.training.scoring import RewardScorer

POOL = 512
NUMBERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LABELS = (100, 300, 1000, 3000, 5000)

SETTINGS = (POOL, NUMBERS, LABELS)


def prepare(materials: Materials) -> None:
    """The pool, unless it is there."""
    config = SampleConfig(
        policy=materials.policy,
        samples_per_prompt=POOL,
        sampling=SampleOptions(
            max_prompt_tokens=world.MAX_PROMPT_TOKENS, max_response_tokens=world.MAX_RESPONSE_TOKENS
        ),
        runtime=runtime(),
    )
    held_out = materials.prompts()[: world.HELD_OUT_PROMPTS]
    materials.make("pool", sample, config, prompts=(held_out, PROMPTS))


def execute(seed: int, folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    materials = Materials(folder / "materials")
    prepare(materials)
    # The same answer to the same question is judged and scored once; places lead from the pool to it.
    distinct: dict[tuple[str, tuple[int, ...]], int] = {}
    golds: list[float] = []
    places: dict[str, list[int]] = {}
    for row in read_records(materials.folder / "pool" / "responses.parquet", SAMPLED_RESPONSES):
        asked = row["prompt"][-1]["content"]
        place = distinct.setdefault((asked, tuple(row["token_ids"])), len(distinct))
        if place == len(golds):
            golds.append(world.gold(asked, row["text"], ended=bool(row["ended"])))
        places.setdefault(asked, []).append(place)
    found = {}
    for labels in LABELS:
        path, accuracy = materials.reward_model(seed, labels=labels)
        scores = np.array(_scores(path, list(distinct)))
        of_prompts = [(scores[own], np.array(golds)[own]) for own in places.values()]
        found[str(labels)] = {
            "accuracy": accuracy,
            "proxy": [float(np.mean([best_of(n, p, p) for p, _ in of_prompts])) for n in NUMBERS],
            "gold": [float(np.mean([best_of(n, p, g) for p, g in of_prompts])) for n in NUMBERS],
        }
    return {"distinct": len(distinct) / sum(len(own) for own in places.values()), "labels": found}


def _scores(path: str, answers: Sequence[tuple[str, tuple[int, ...]]]) -> list[float]:
    """Of the reward model in this folder, in the order of the answers, from the ids that were sampled."""
    scorer = RewardScorer.load(
        path, batch=BATCH, dtype="fp32", distributed=DistributedContext.start(runtime())
    )
    prompts = {
        asked: encode_prompt(scorer.tokenizer, world.user(asked), world.MAX_PROMPT_TOKENS)
        for asked in dict.fromkeys(asked for asked, _ in answers)
    }
    groups = scorer.score_examples([Example(prompts[asked], [list(ids)]) for asked, ids in answers])
    return [group[0] for group in groups]


def best_of(n: int, proxy: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray) -> float:
    """What the answer with the largest proxy among n has of `values`, on average over all draws of n from the pool.

    Unbiased: with the N answers in the order of their proxy, the i-th (from 1) is the best of C(i - 1, n - 1) of the
    C(N, n) draws (Nakano et al. 2021, appendix I; Gao et al. 2022 use it for all n).
    """
    total = len(proxy)
    if not 1 <= n <= total:
        raise ValueError(f"n must be between 1 and the pool's {total} answers, found {n}")
    order = np.argsort(np.asarray(proxy), kind="stable")
    log_all = _log_choose(total, n)
    weights = [math.exp(_log_choose(place, n - 1) - log_all) for place in range(n - 1, total)]
    return float(np.dot(weights, np.asarray(values)[order][n - 1 :]))


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
