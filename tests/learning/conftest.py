import random

import pytest
import torch

from learning.batches.collation import Example
from learning.interface.training_options import ModelArchitecture, ModelSource
from learning.models.loading import load_policy, load_reward_model
from learning.models.tokenization import train_tokenizer

TEXTS = [
    "The cat sat on the mat. What did the cat do?",
    "A small model says what it can, and stops.",
    "Wo ist der Schlüssel? In der Tür, sagte sie.",
]


@pytest.fixture(scope="session")
def tokenizer():
    return train_tokenizer(TEXTS, vocab_size=300)


def scratch_source(architecture="llama", **changes):
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
    }
    return ModelSource(
        from_scratch=ModelArchitecture(
            architecture=architecture, **{**shape, "initializer_range": 0.2, **changes}
        )
    )


@pytest.fixture
def make_policy(tokenizer):
    def make(architecture="llama", *, seed=0, dropout=0.0, **changes):
        torch.manual_seed(seed)
        return load_policy(scratch_source(architecture, **changes), tokenizer, dropout=dropout)

    return make


@pytest.fixture
def make_reward_model(tokenizer):
    def make(architecture="llama", *, seed=0, dropout=0.0, **changes):
        torch.manual_seed(seed)
        return load_reward_model(scratch_source(architecture, **changes), tokenizer, dropout=dropout)

    return make


def random_examples(count, responses, *, seed=0, prompt=(5, 25), response=(1, 14), vocabulary=300):
    """Prompts and responses of random ids; `responses` a number, or one for each example."""
    rng = random.Random(seed)
    counts = [responses] * count if isinstance(responses, int) else responses

    def ids(low, high):
        return [rng.randrange(7, vocabulary) for _ in range(rng.randint(low, high))]

    return [Example(ids(*prompt), [ids(*response) for _ in range(k)]) for k in counts]
