"""What the rest of learning needs to know about model classes: their trunk, their heads, their positions.

No model is built here and transformers is not imported: everything is read from the module and its configuration.
"""

from typing import Any

from torch import nn

from learning.interface.options import UserError

# Full-attention architectures whose packed rows were checked against separate rows (probe of the design, and
# tests/learning/test_packing.py). Others run with padded rows.
PACKABLE_ARCHITECTURES = ("llama", "qwen2", "qwen3", "gpt2", "gpt_neox", "opt")


def bare(model: Any) -> Any:
    """The transformers model inside a PEFT wrapper (its adapters stay active), or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def backbone(model: Any) -> nn.Module:
    """The trunk that turns tokens into hidden states, without any head."""
    inner = bare(model)
    return getattr(inner, inner.base_model_prefix)


def has_score_head(model: Any) -> bool:
    return hasattr(bare(model), "score")


def head(model: Any) -> nn.Module:
    """The head on the trunk: `score` of a reward model or critic, the output embedding of a language model."""
    inner = bare(model)
    return inner.score if has_score_head(model) else inner.get_output_embeddings()


def why_not_packable(model: Any) -> str | None:
    """None when a packed row is exact for this model; else the reason in words for the run's page."""
    config = bare(model).config
    if config.model_type not in PACKABLE_ARCHITECTURES:
        return f"{config.model_type} is not among the architectures checked for packed rows"
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


def position_limit(model: Any) -> int | None:
    """How many tokens one sequence (prompt and response) may have; None when the model sets no limit."""
    return getattr(bare(model).config, "max_position_embeddings", None)


def require_positions(model: Any, tokens: int) -> None:
    """UserError when sequences of `tokens` tokens do not fit the model's positions."""
    limit = position_limit(model)
    if limit is not None and tokens > limit:
        raise UserError(
            f"prompts and responses of up to {tokens} tokens do not fit a model with {limit} positions; "
            "lower max_prompt_tokens or max_response_tokens"
        )
