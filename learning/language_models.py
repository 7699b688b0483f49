"""Policies, reward models and tokenizers: from a folder, the hub or a fresh architecture, and back to a folder.

On disk: safetensors, right padding, a padding id distinct from every scored id, the chat template in the
tokenizer. Nothing is unpickled and no code that came with a model is run. Attention is sdpa, the only one that
applies the boolean masks of packed rows, wherever the architecture has it.
"""

import hashlib
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from learning.architectures import bare
from learning.interface.atomic_files import atomic_folder, sync_path
from learning.interface.options import UserError
from learning.interface.training_options import FreshModel, ModelSource
from learning.tokenization import PAD, TRANSCRIPT_TEMPLATE

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_KNOWN_PADS = (PAD, "<pad>", "[PAD]", "<|finetune_right_pad_id|>", "<|endoftext|>", "<|padding|>")
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


def load_tokenizer(source: ModelSource | str | Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a model folder or hub id, ready for training.

    A tokenizer without a padding token, or whose padding token is also its end, start or unknown token, gets a
    padding token of its own; one without a chat template gets a plain transcript. Raises UserError when there is
    no tokenizer, or it has no end-of-sequence token.
    """
    source = source if isinstance(source, ModelSource) else ModelSource(path=str(source))
    if source.fresh is not None:
        raise UserError("a fresh model brings no tokenizer; train one or name the folder of one")
    if source.path is not None:
        folder = _existing_folder(source.path)
        if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
            raise UserError(
                f"{folder}: no tokenizer in this folder (looked for {', '.join(_TOKENIZER_FILES)}); "
                "save the model's tokenizer there with save_pretrained"
            )
    try:
        tokenizer = _tokenizer_class(source).from_pretrained(*_location(source), **_options(source))
    except Exception as error:  # tokenizers raises bare Exception for a damaged file
        raise _unreadable(source, "tokenizer", error) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(f"{_name(source)}: only fast tokenizers (tokenizer.json) are supported")
    _name_special_tokens(tokenizer, source)
    if tokenizer.eos_token_id is None:
        raise UserError(f"{_name(source)}: the tokenizer has no end-of-sequence token; set its eos_token")
    _repair_padding(tokenizer)
    if not tokenizer.chat_template:
        tokenizer.chat_template = TRANSCRIPT_TEMPLATE
    tokenizer.padding_side = "right"
    return tokenizer


def _tokenizer_class(source: ModelSource) -> Any:
    # AutoTokenizer looks at the model type first, and for some (qwen2) rebuilds that family's tokenizer with other
    # splitting rules and added tokens, whatever tokenizer.json says.
    if source.path is not None and (Path(source.path) / "tokenizer.json").is_file():
        return PreTrainedTokenizerFast
    return AutoTokenizer


def _name_special_tokens(tokenizer: PreTrainedTokenizerFast, source: ModelSource) -> None:
    """Where the files name no end token (GPT-2's do not), those that the family's own tokenizer class knows of."""
    if tokenizer.eos_token_id is not None:
        return
    try:
        family = AutoTokenizer.from_pretrained(*_location(source), **_options(source))
    except Exception:  # whatever is wrong with the folder: the missing end token is the sentence to say
        return
    vocabulary = tokenizer.get_vocab()
    for name in ("eos_token", "bos_token", "unk_token", "pad_token"):
        if getattr(tokenizer, name) is None and getattr(family, name) in vocabulary:
            setattr(tokenizer, name, getattr(family, name))


def require_same_reading(tokenizer: PreTrainedTokenizerFast, fresh: FreshModel) -> None:
    """UserError when other programs would read the tokenizer otherwise beside a model of this architecture.

    AutoTokenizer rebuilds the tokenizers of some families (qwen2) with the family's own splitting rules.
    """
    with tempfile.TemporaryDirectory() as folder:
        _fresh_config(fresh, tokenizer).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        auto = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ours, theirs = (json.loads(one.backend_tokenizer.to_str()) for one in (tokenizer, auto))
    if any(ours[part] != theirs[part] for part in ("normalizer", "pre_tokenizer", "model")):
        raise UserError(
            f"config.model.source.fresh.architecture: beside a {fresh.architecture} model other programs read this "
            "tokenizer with that family's own rules and would see other tokens; choose llama, or give "
            "config.tokenizer.path of a tokenizer of that family"
        )


def _repair_padding(tokenizer: PreTrainedTokenizerFast) -> None:
    scored = {tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.unk_token_id}
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id not in scored:
        return
    vocabulary = tokenizer.get_vocab()
    for candidate in _KNOWN_PADS:
        if candidate in vocabulary and vocabulary[candidate] not in scored:
            tokenizer.pad_token = candidate
            return
    tokenizer.add_special_tokens({"pad_token": PAD})


def load_policy(
    source: ModelSource,
    tokenizer: PreTrainedTokenizerFast,
    *,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
) -> PreTrainedModel:
    """A causal language model. `dropout` replaces every dropout probability of the architecture."""
    if source.fresh is not None:
        config = _fresh_config(source.fresh, tokenizer)
        _set_dropout(config, dropout)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    else:
        if is_reward_model(source):
            raise UserError(f"{_name(source)}: this is a reward model, and a policy is needed")
        model = _pretrained(AutoModelForCausalLM, source, dtype, dropout, may_miss=())
    return _fitted_to(model, tokenizer)


def load_reward_model(
    source: ModelSource,
    tokenizer: PreTrainedTokenizerFast,
    *,
    dtype: torch.dtype = torch.float32,
    dropout: float = 0.0,
) -> PreTrainedModel:
    """A model with one score a sequence (num_labels = 1).

    From an earlier reward model its head is kept, and `config.reward_shift` with it. From anything else the head
    is new: weights normal with standard deviation 1 / sqrt(width + 1), bias 0 (N+ implementation details).
    """
    head_is_new = not is_reward_model(source)
    if source.fresh is not None:
        config = _fresh_config(source.fresh, tokenizer)
        config.num_labels = 1
        _set_dropout(config, dropout)
        model = AutoModelForSequenceClassification.from_config(
            config, dtype=dtype, attn_implementation="sdpa"
        )
    else:
        may_miss = ("score.weight", "score.bias") if head_is_new else ()
        model = _pretrained(
            AutoModelForSequenceClassification, source, dtype, dropout, may_miss, num_labels=1
        )
    if not hasattr(model, "score"):
        raise UserError(
            f"{_name(source)}: {model.config.model_type} has no score head that can be trained here"
        )
    if head_is_new:
        _renew_head(model)
    return _fitted_to(model, tokenizer)


def _renew_head(model: Any) -> None:
    weight = model.score.weight
    with torch.no_grad():
        weight.normal_(std=1.0 / math.sqrt(weight.shape[1] + 1))
        if getattr(model.score, "bias", None) is not None:
            model.score.bias.zero_()
    model.config.reward_shift = 0.0


def is_reward_model(source: ModelSource | str | Path) -> bool:
    """Whether the source is a sequence classifier. Raises UserError when it is no model or has several labels."""
    source = source if isinstance(source, ModelSource) else ModelSource(path=str(source))
    if source.fresh is not None:
        return False
    config = _config(source)
    is_classifier = any(
        name.endswith("ForSequenceClassification") for name in getattr(config, "architectures", None) or ()
    )
    if is_classifier and config.num_labels != 1:
        raise UserError(
            f"{_name(source)}: a classifier with {config.num_labels} labels is not a reward model (1 label)"
        )
    return is_classifier


def _config(source: ModelSource) -> Any:
    if source.path is not None:
        folder = _existing_folder(source.path)
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: no config.json, so this is not a model folder")
    try:
        return AutoConfig.from_pretrained(*_location(source), **_options(source))
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(source, "model configuration", error) from error


def _pretrained(
    auto_class: Any,
    source: ModelSource,
    dtype: torch.dtype,
    dropout: float,
    may_miss: tuple[str, ...],
    **changes: Any,
) -> Any:
    config = _config(source)
    _set_dropout(config, dropout)
    for name, value in changes.items():
        setattr(config, name, value)
    how = {"config": config, "dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    how |= _options(source)
    try:
        try:
            model, loading = auto_class.from_pretrained(*_location(source), attn_implementation="sdpa", **how)
        except ValueError as error:
            if "scaled_dot_product_attention" not in str(error):
                raise
            # Some families have no such form; theirs are padded rows.
            model, loading = auto_class.from_pretrained(
                *_location(source), attn_implementation="eager", **how
            )
    except Exception as error:  # safetensors and transformers raise many kinds for a damaged folder
        raise _unreadable(source, "model weights", error) from error
    missing = sorted(set(loading["missing_keys"]) - set(may_miss))
    if missing:
        # transformers fills missing weights with random numbers and goes on; a model half made of noise is worse
        # than none.
        raise UserError(
            f"{_name(source)}: the weights lack {len(missing)} tensors of {type(model).__name__}, "
            f"{missing[0]} among them; the folder is incomplete or another kind of model"
        )
    return model


def _fresh_config(fresh: FreshModel, tokenizer: PreTrainedTokenizerFast) -> Any:
    shared = {
        "vocab_size": len(tokenizer),
        "tie_word_embeddings": fresh.tie_embeddings,
        "initializer_range": fresh.initializer_range,
    }
    if fresh.architecture == "gpt2":
        return AutoConfig.for_model(
            "gpt2",
            n_embd=fresh.hidden_size,
            n_inner=fresh.intermediate_size,
            n_layer=fresh.layers,
            n_head=fresh.heads,
            n_positions=fresh.max_positions,
            **shared,
        )
    shared |= {
        "hidden_size": fresh.hidden_size,
        "num_hidden_layers": fresh.layers,
        "num_attention_heads": fresh.heads,
        "max_position_embeddings": fresh.max_positions,
    }
    if fresh.architecture == "opt":
        # OPT keeps its initial spread under another name, and projects embeddings unless the sizes are equal.
        return AutoConfig.for_model(
            "opt",
            ffn_dim=fresh.intermediate_size,
            word_embed_proj_dim=fresh.hidden_size,
            init_std=fresh.initializer_range,
            **{name: value for name, value in shared.items() if name != "initializer_range"},
        )
    shared["intermediate_size"] = fresh.intermediate_size
    if fresh.architecture == "gpt_neox":
        return AutoConfig.for_model("gpt_neox", **shared)
    return AutoConfig.for_model(
        fresh.architecture,
        num_key_value_heads=fresh.key_value_heads or fresh.heads,
        head_dim=fresh.hidden_size // fresh.heads,
        **shared,
    )


def _set_dropout(config: Any, dropout: float) -> None:
    for name in _DROPOUTS:
        if isinstance(getattr(config, name, None), (int, float)):
            setattr(config, name, dropout)


def _fitted_to(model: Any, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """The model with room for every id of the tokenizer, and the tokenizer's special ids in its configuration."""
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

    Only padding is ever added and never read, but its output row is in every softmax: with a logit near 0 it would
    be the likeliest token of a model whose logits are all far below.
    """
    with torch.no_grad():
        for module in (model.get_input_embeddings(), model.get_output_embeddings()):
            for weight in (getattr(module, "weight", None), getattr(module, "bias", None)):
                if weight is not None:
                    weight[known:] = weight[:known].double().mean(0).to(weight.dtype)


def save_model(
    model: Any,
    tokenizer: PreTrainedTokenizerFast,
    path: str | Path,
    *,
    state_dict: dict[str, torch.Tensor] | None = None,
) -> dict[str, str]:
    """Write model and tokenizer, atomically. Returns the sha256 of every file."""
    with atomic_folder(Path(path)) as folder:
        bare(model).save_pretrained(folder, state_dict=state_dict)
        tokenizer.save_pretrained(folder)
        sums = model_sha256s(folder)
        for name in sums:
            sync_path(folder / name)
        sync_path(folder)
    return sums


def model_sha256s(path: str | Path) -> dict[str, str]:
    """sha256 of every file of a model folder, by relative name in sorted order."""
    folder = _existing_folder(path)
    sums = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            with open(file, "rb") as opened:
                sums[str(file.relative_to(folder))] = hashlib.file_digest(opened, "sha256").hexdigest()
    return sums


def _existing_folder(path: str | Path) -> Path:
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model folder")
    return folder


def _location(source: ModelSource) -> tuple[str]:
    return (source.path or source.hub_id or "",)


def _options(source: ModelSource) -> dict[str, Any]:
    """A path never reaches for the network, and nothing runs code that came with a model."""
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": source.path is not None}
    return options | ({"revision": source.revision} if source.revision else {})


def _name(source: ModelSource) -> str:
    return source.path or source.hub_id or "the fresh model"


def _unreadable(source: ModelSource, what: str, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
    return UserError(f"{_name(source)}: the {what} could not be read ({reason})")
