"""The stages of a round in order, and the handler of each."""

from collections.abc import Callable, Mapping
from typing import Any

from rounds.models import Round, Stage
from rounds.stages.annotating import advance_annotating
from rounds.stages.policy import advance_policy
from rounds.stages.reward_model import advance_reward_model, freeze_missing_dataset
from rounds.stages.sampling import advance_sampling
from rounds.stages.scoring import advance_scoring, ask_servers_of_next_round

STAGE_ORDER = (
    Stage.SAMPLING,
    Stage.ANNOTATING,
    Stage.REWARD_MODEL,
    Stage.POLICY,
    Stage.SCORING,
    Stage.DONE,
)

# Each gets the locked round and its plan, in a transaction, and what its preparation found, by name; True when it
# changed something.
STAGE_HANDLERS: dict[Stage, Callable[..., bool]] = {
    Stage.SAMPLING: advance_sampling,
    Stage.ANNOTATING: advance_annotating,
    Stage.REWARD_MODEL: advance_reward_model,
    Stage.POLICY: advance_policy,
    Stage.SCORING: advance_scoring,
}

# What a stage does before its round is locked: work that takes a while and that two workers may do at once.
PREPARATIONS: dict[Stage, Callable[[Round], Mapping[str, Any]]] = {
    Stage.REWARD_MODEL: freeze_missing_dataset,
    Stage.SCORING: ask_servers_of_next_round,
}
