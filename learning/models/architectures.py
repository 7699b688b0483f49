"""What the rest of learning needs to know about model classes: their trunk, their heads, their positions.

No model is built here and transformers is not imported: everything is read from the module
and its configuration.
"""

from typing import Any

from torch import nn

from learning.interface.options import UserError

# Full-attention architectures whose shared-prompt rows were checked against separate rows
# (tests/learning/batches/test_layout.py). Others run with padded rows.
SHARED_PROMPT_ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2", "gpt_neox", "opt")


VALUE_HEAD = "value_head"  # of a policy that is its own critic


def unwrap_model(model: Any) -> Any:
    """The transformers model inside a PEFT wrapper (its adapters stay active), or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def backbone(model: Any) -> nn.Module:
    """The trunk that turns tokens into hidden states, without any head."""
    inner = unwrap_model(model)
    return getattr(inner, inner.base_model_prefix)


def has_score_head(model: Any) -> bool:
    return hasattr(unwrap_model(model), "score")


def output_head(model: Any) -> nn.Module:
    """The head on the trunk: `score` of a reward model or critic, the output embedding of a language model."""
    inner = unwrap_model(model)
    return inner.score if has_score_head(model) else inner.get_output_embeddings()


def value_head(critic: Any) -> nn.Module:
    """A critic's head: `score`, or on a policy whose trunk it shares the head beside the output embedding."""
    inner = unwrap_model(critic)
    return getattr(inner, VALUE_HEAD) if hasattr(inner, VALUE_HEAD) else output_head(critic)


def shared_prompt_unsupported_reason(model: Any) -> str | None:
    """None when a shared-prompt row is exact for this model; else the reason in words for the run's page."""
    config = unwrap_model(model).config
    if config.model_type not in SHARED_PROMPT_ARCHITECTURES:
        return f"{config.model_type} is not among the architectures checked for shared-prompt rows"
    implementation = config._attn_implementation
    if implementation != "sdpa":
        # Eager attention adds a boolean mask to the logits instead of applying it: silently wrong.
        return f"its attention implementation is {implementation}, and only sdpa applies a boolean mask"
    if any(kind != "full_attention" for kind in getattr(config, "layer_types", None) or ()):
        return "some of its layers attend to a sliding window"
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type", "default") in ("dynamic", "longrope"):
        return f"its {rope['rope_type']} rotary positions depend on the length of the whole row"
    return None


def max_positions(model: Any) -> int | None:
    """How many tokens one sequence (prompt and response) may have; None when the model sets no limit."""
    return getattr(unwrap_model(model).config, "max_position_embeddings", None)


def require_max_positions(model: Any, tokens: int) -> None:
    """UserError when sequences of `tokens` tokens do not fit the model's positions."""
    limit = max_positions(model)
    if limit is not None and tokens > limit:
        raise UserError(
            f"prompts and responses of up to {tokens} tokens do not fit a model with {limit} positions; "
            "lower max_prompt_tokens or max_response_tokens"
        )
