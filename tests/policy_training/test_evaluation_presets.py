"""Presets of drawing answers have the values that their source prints."""

from learning.interface.options import options_to_dict
from policy_training.comparing.actions import comparison_config
from policy_training.evaluation_presets import evaluation_config
from policy_training.supervised.options import sample_config
from rounds.plans import HeadToHeadPlan


def test_evaluation_samples_as_secrets_of_rlhf_does():
    """Secrets 6.1, wherever answers are drawn by it: alone, beside others, to be judged, head to head in a round."""
    config = evaluation_config("secrets")
    compared = comparison_config(preset="secrets")
    annotated = sample_config(preset="secrets")
    [annotated["sampling"]["temperature"]] = annotated["sampling"].pop("temperatures")
    for found in (config, compared, annotated, {"sampling": options_to_dict(HeadToHeadPlan().sampling)}):
        sampling = found["sampling"]
        assert (sampling["temperature"], sampling["top_p"], sampling["repetition_penalty"]) == (0.8, 0.9, 1.1)
        assert (sampling["top_k"], sampling["repetition_penalty_scope"]) == (0, "response")
    assert config["batch"]["max_response_tokens"] == compared["batch"]["max_response_tokens"] == 2048
    assert annotated["sampling"]["max_response_tokens"] == 2048
    plain = sample_config()["sampling"]  # the policy as it is
    assert (plain["temperatures"], plain["top_p"], plain["repetition_penalty"]) == ([1.0], 1.0, 1.0)
