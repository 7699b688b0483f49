"""Candidates of best-of-n that a server samples: of its policies, or of an outside model."""

from typing import Any

from learning.distributed import DistributedContext
from learning.interface.training_options import ModelSource
from learning.run_context import RunContext
from policy_training.training.best_of_n.candidate_files import SERVED_FILES, answers_file, answers_files
from policy_training.training.best_of_n.config import OUTSIDE, BestOfNConfig
from policy_training.training.servers.answers import AnswerServer, server_report


def answering_server(
    context: RunContext[BestOfNConfig],
    distributed: DistributedContext,
    number: int,
    source: ModelSource,
    tokenizer: Any,
) -> AnswerServer | None:
    """Of one of the fresh sources; None where this program samples it. Raises UserError for an unknown server."""
    config = context.options
    if number not in served_sources(config):
        return None
    server, fresh = config.sampling.server, config.fresh_sources[number]
    return AnswerServer(
        server,
        model=server.model_called(fresh.name, source),
        tokenizer=tokenizer,
        answers_file=answers_file(context.path / "candidates", number, distributed.rank),
        beside=answers_files(context.path / "candidates", number),
        # Several processes agree on a stop between shards: one that left alone would fail the others.
        check=context.require_current if distributed.world_size > 1 else context.stop_if_requested,
    )


def served_sources(config: BestOfNConfig) -> list[int]:
    """Places of the fresh sources that the server answers for."""
    by_policies = config.candidates.server_answers == "policies"
    return [
        number
        for number, fresh in enumerate(config.fresh_sources)
        if config.sampling.server.name and (fresh.sampler == OUTSIDE or by_policies)
    ]


def candidates_server_report(context: RunContext[BestOfNConfig]) -> dict[str, Any]:
    """For result.json; nothing where this program sampled every candidate."""
    config = context.options
    if not (served := served_sources(config)):
        return {}
    files = sorted((context.path / "candidates").glob(SERVED_FILES))
    names = dict.fromkeys(config.fresh_sources[number].name for number in served)
    return {"server": server_report(config.sampling.server, list(names), files)}
