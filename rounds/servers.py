"""The servers of language models that a round's plan names are asked before it begins, and not hours later."""

from dataclasses import dataclass
from typing import Any

from policy_training.model_servers import ModelServerAway, require_answering_server
from policy_training.models import Policy
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.ppo.config import PPOConfig
from rounds.errors import RoundRefused
from rounds.plans import RoundPlan
from workspace.errors import ActionError

POLICY = "{policy}"


@dataclass(frozen=True)
class NamedServer:
    """A server of the plan, and the models that it must have."""

    name: str
    models: frozenset[str] = frozenset()


def servers_of(plan: RoundPlan, start_policy: Policy | None) -> list[NamedServer]:
    """Each once: of the answers that people judge, of rollouts, of candidates, of judges."""
    found: dict[str, set[str]] = {}

    def add(options: Any, policies: tuple[str, ...]) -> None:
        if not options.name:
            return
        models = found.setdefault(options.name, set())
        if POLICY in options.model:
            models.update(options.model.replace(POLICY, policy) for policy in policies)
        elif options.model:
            models.add(options.model)

    known = (start_policy.name,) if start_policy is not None else ()
    add(plan.sampling.options.server, (*known, *plan.sampling.other_policies))
    for step in plan.policy_steps:
        config = plan.config_of(step)
        if isinstance(config, PPOConfig | PolicyGradientConfig):
            add(config.rollout.server, ())
        if isinstance(config, BestOfNConfig):
            add(config.sampling.server, ())
        if isinstance(config, PPOConfig | PolicyGradientConfig | BestOfNConfig):
            add(config.rewards.judge.server, ())
    return [NamedServer(name, frozenset(models)) for name, models in found.items()]


def require_servers(plan: RoundPlan, start_policy: Policy | None) -> None:
    """Raises RoundRefused where a server is unknown, may not be asked or has not the model; where it does not answer
    unless the plan says that it may be away.
    """
    for server in servers_of(plan, start_policy):
        try:
            require_answering_server(server.name, sorted(server.models))
        except ModelServerAway as error:
            if not plan.servers_may_be_away:
                raise RoundRefused(error.message, code=error.code) from error
        except ActionError as error:
            raise RoundRefused(error.message, code=error.code) from error
