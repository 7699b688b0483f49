"""The configuration of a model that starts from random weights."""

from typing import Any

from transformers import AutoConfig, PreTrainedTokenizerFast

from learning.interface.training_options import ModelArchitecture


def scratch_config(shape: ModelArchitecture, tokenizer: PreTrainedTokenizerFast) -> Any:
    shared = {
        "vocab_size": len(tokenizer),
        "tie_word_embeddings": shape.tie_word_embeddings,
        "initializer_range": shape.initializer_range,
    }
    if shape.architecture == "gpt2":
        return AutoConfig.for_model(
            "gpt2",
            n_embd=shape.hidden_size,
            n_inner=shape.intermediate_size,
            n_layer=shape.num_hidden_layers,
            n_head=shape.num_attention_heads,
            n_positions=shape.max_position_embeddings,
            **shared,
        )
    shared |= {
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads,
        "max_position_embeddings": shape.max_position_embeddings,
    }
    if shape.architecture == "opt":
        # OPT keeps its initial spread under another name, and projects embeddings unless the sizes are equal.
        return AutoConfig.for_model(
            "opt",
            ffn_dim=shape.intermediate_size,
            word_embed_proj_dim=shape.hidden_size,
            init_std=shape.initializer_range,
            **{name: value for name, value in shared.items() if name != "initializer_range"},
        )
    shared["intermediate_size"] = shape.intermediate_size
    if shape.architecture == "gpt_neox":
        return AutoConfig.for_model("gpt_neox", **shared)
    return AutoConfig.for_model(
        shape.architecture,
        num_key_value_heads=shape.num_key_value_heads or shape.num_attention_heads,
        head_dim=shape.hidden_size // shape.num_attention_heads,
        **shared,
    )
