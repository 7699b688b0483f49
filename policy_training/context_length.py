"""How much a model reads at once, from its folder: known before anything is started, and without torch."""

import json
from pathlib import Path

# GPT-2 calls it n_positions; every other architecture that sets a limit max_position_embeddings.
_NAMES = ("max_position_embeddings", "n_positions")


def max_positions(folder: Path) -> int | None:
    """How many tokens (prompt and response) a sequence may have; None where the model sets no limit or has no config.

    The same number that the trainers read from the loaded model (learning/models/architectures.py).
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict):
        return None
    return next((config[name] for name in _NAMES if isinstance(config.get(name), int)), None)
