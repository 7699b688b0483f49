"""Policies and reward models: from a folder, the hub or a random initialisation.

Nothing is unpickled and no code that came with a model is run. Attention is sdpa, the only one that applies
the boolean masks of shared-prompt rows, wherever the architecture has it.
"""

import math
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from learning.interface.model_folders import require_own_files
from learning.interface.options import UserError
from learning.interface.training_options import ModelSource
from learning.models.files import existing_folder, unreadable
from learning.models.from_scratch import scratch_config

_DROPOUTS = (
    "attention_dropout",
    "hidden_dropout",
    "dropout",
    "activation_dropout",
    "attn_pdrop",
    "embd_pdrop",
    "resid_pdrop",
    "classifier_dropout",
    "summary_first_dropout",
)


def load_policy(
    source: ModelSource,
    tokenizer: PreTrainedTokenizerFast,
    *,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
) -> PreTrainedModel:
    """A causal language model. `dropout` replaces every dropout probability of the architecture."""
    if source.from_scratch is not None:
        config = scratch_config(source.from_scratch, tokenizer)
        _set_dropout(config, dropout)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    else:
        if is_reward_model(source):
            raise UserError(f"{source.display_name}: this is a reward model, and a policy is needed")
        model = _pretrained(AutoModelForCausalLM, source, dtype, dropout, allowed_missing_keys=())
    return _resize_to_tokenizer(model, tokenizer)


def load_reward_model(
    source: ModelSource,
    tokenizer: PreTrainedTokenizerFast,
    *,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
) -> PreTrainedModel:
    """A model with one score a sequence (num_labels = 1).

    From an earlier reward model its head is kept, and `config.reward_shift` with it. From
    anything else the head is new: weights normal with standard deviation 1 / sqrt(width + 1),
    bias 0 (N+ implementation details).
    """
    head_is_new = not is_reward_model(source)
    if source.from_scratch is not None:
        config = scratch_config(source.from_scratch, tokenizer)
        config.num_labels = 1
        _set_dropout(config, dropout)
        model = AutoModelForSequenceClassification.from_config(
            config, dtype=dtype, attn_implementation="sdpa"
        )
    else:
        allowed_missing_keys = ("score.weight", "score.bias") if head_is_new else ()
        model = _pretrained(
            AutoModelForSequenceClassification, source, dtype, dropout, allowed_missing_keys, num_labels=1
        )
    if not hasattr(model, "score"):
        raise UserError(
            f"{source.display_name}: {model.config.model_type} has no score head that can be trained here"
        )
    if head_is_new:
        new_score_head(model)
    return _resize_to_tokenizer(model, tokenizer)


def new_score_head(model: Any) -> None:
    """Weights normal with standard deviation 1 / sqrt(width + 1), bias 0."""
    weight = model.score.weight
    with torch.no_grad():
        weight.normal_(std=1.0 / math.sqrt(weight.shape[1] + 1))
        if getattr(model.score, "bias", None) is not None:
            model.score.bias.zero_()
    model.config.reward_shift = 0.0


def is_reward_model(source: ModelSource | str | Path) -> bool:
    """Whether the source is a sequence classifier.

    Raises UserError when it is no model or has several labels.
    """
    source = source if isinstance(source, ModelSource) else ModelSource(path=str(source))
    if source.from_scratch is not None:
        return False
    config = _config(source)
    is_classifier = any(
        name.endswith("ForSequenceClassification") for name in getattr(config, "architectures", None) or ()
    )
    if is_classifier and config.num_labels != 1:
        raise UserError(
            f"{source.display_name}: a classifier with {config.num_labels} labels is not a reward model (1 label)"
        )
    return is_classifier


def _config(source: ModelSource) -> Any:
    if source.path is not None:
        folder = existing_folder(source.path)
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: no config.json, so this is not a model folder")
        require_own_files(folder)
    try:
        return AutoConfig.from_pretrained(source.location, **source.from_pretrained_options)
    except (OSError, ValueError, KeyError) as error:
        raise unreadable(source, "model configuration", error) from error


def _pretrained(
    auto_class: Any,
    source: ModelSource,
    dtype: torch.dtype,
    dropout: float,
    allowed_missing_keys: tuple[str, ...],
    **changes: Any,
) -> Any:
    config = _config(source)
    _set_dropout(config, dropout)
    for name, value in changes.items():
        setattr(config, name, value)
    kwargs = {"config": config, "dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    kwargs |= source.from_pretrained_options
    try:
        try:
            model, loading = auto_class.from_pretrained(source.location, attn_implementation="sdpa", **kwargs)
        except ValueError as error:
            if "scaled_dot_product_attention" not in str(error):
                raise
            # Some families have no such form; theirs are padded rows.
            model, loading = auto_class.from_pretrained(
                source.location, attn_implementation="eager", **kwargs
            )
    except Exception as error:  # safetensors and transformers raise many kinds for a damaged folder
        raise unreadable(source, "model weights", error) from error
    missing = sorted(set(loading["missing_keys"]) - set(allowed_missing_keys))
    if missing:
        # transformers fills missing weights with random numbers and goes on; a model half made of noise is worse
        # than none.
        raise UserError(
            f"{source.display_name}: the weights lack {len(missing)} tensors of {type(model).__name__}, "
            f"{missing[0]} among them; the folder is incomplete or another kind of model"
        )
    _require_finite_weights(model, source)
    return model


def _require_finite_weights(model: Any, source: ModelSource) -> None:
    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise UserError(
                f"{source.display_name}: the weights hold numbers that are not finite ({name} does), so the model is "
                "damaged; take another one, or train it again"
            )


def _set_dropout(config: Any, dropout: float) -> None:
    for name in _DROPOUTS:
        if isinstance(getattr(config, name, None), (int, float)):
            setattr(config, name, dropout)


def _resize_to_tokenizer(model: Any, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """The model with a row for every id of the tokenizer, whose special ids go into its configuration."""
    known = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > known:
        # transformers' own filling draws from the covariance of the whole embedding: noise, and slow.
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        _fill_with_mean(model, known)
    for holder in (model.config, getattr(model, "generation_config", None)):
        if holder is not None:
            holder.pad_token_id = tokenizer.pad_token_id
            holder.bos_token_id = tokenizer.bos_token_id
            holder.eos_token_id = tokenizer.eos_token_id
    return model


def _fill_with_mean(model: Any, known: int) -> None:
    """The rows from `known` on as the mean of those before.

    Only padding is ever added and never read, but its output row is in every softmax: with a logit near 0
    it would be the likeliest token of a model whose logits are all far below.
    """
    with torch.no_grad():
        for module in (model.get_input_embeddings(), model.get_output_embeddings()):
            for weight in (getattr(module, "weight", None), getattr(module, "bias", None)):
                if weight is not None:
                    weight[known:] = weight[:known].double().mean(0).to(weight.dtype)
