"""Whether a server that answered for a policy has that policy, as far as its log-probabilities tell."""

from collections.abc import Mapping

from policy_training.training.alarms.config import AlarmOptions


def other_model_notes(server: str, policy: str, mismatch: Mapping[str, float]) -> list[str]:
    """A sentence for the run's page where a server's log-probabilities are further from the policy's own than
    rounding takes them (`mismatch`: mean_mismatch).
    """
    kl = mismatch.get("sampler_kl", 0.0)
    if kl <= AlarmOptions().sampler_kl_limit:
        return []
    return [
        f"The model server {server} is {kl:.3f} nats a token (KL) from {policy}: it may have another model or other "
        "weights."
    ]
