"""Tokenizers of model folders and hub ids, made ready for training.

Right padding, a padding id distinct from every scored id, a chat template. No code that came with a
model is run.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from learning.interface.model_folders import require_own_files
from learning.interface.options import UserError
from learning.interface.training_options import ModelArchitecture, ModelSource, TokenizerOptions
from learning.models.files import existing_folder, unreadable
from learning.models.from_scratch import scratch_config
from learning.models.tokenization import PAD, TRANSCRIPT_TEMPLATE

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


_KNOWN_PADS = (PAD, "<pad>", "[PAD]", "<|finetune_right_pad_id|>", "<|endoftext|>", "<|padding|>")


def load_tokenizer(source: ModelSource | str | Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a model folder or hub id, ready for training.

    A tokenizer without a padding token, or whose padding token is also its end, start or unknown token,
    gets a padding token of its own; one without a chat template gets a plain transcript. Raises UserError
    when there is no tokenizer, or it has no end-of-sequence token.
    """
    source = source if isinstance(source, ModelSource) else ModelSource(path=str(source))
    if source.from_scratch is not None:
        raise UserError("a model from scratch brings no tokenizer; train one or name the folder of one")
    if source.path is not None:
        folder = existing_folder(source.path)
        if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
            raise UserError(
                f"{folder}: no tokenizer in this folder (looked for {', '.join(_TOKENIZER_FILES)}); "
                "save the model's tokenizer there with save_pretrained"
            )
        require_own_files(folder)
    try:
        tokenizer = _tokenizer_class(source).from_pretrained(
            source.location, **source.from_pretrained_options
        )
    except Exception as error:  # tokenizers raises bare Exception for a damaged file
        raise unreadable(source, "tokenizer", error) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(f"{source.display_name}: only fast tokenizers (tokenizer.json) are supported")
    _name_special_tokens(tokenizer, source)
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"{source.display_name}: the tokenizer has no end-of-sequence token; set its eos_token"
        )
    _repair_padding(tokenizer)
    if not tokenizer.chat_template:
        tokenizer.chat_template = TRANSCRIPT_TEMPLATE
    tokenizer.padding_side = "right"
    return tokenizer


def load_or_train_tokenizer(
    source: ModelSource, options: TokenizerOptions, train: Callable[[], PreTrainedTokenizerFast]
) -> PreTrainedTokenizerFast:
    """The model's own tokenizer; for a model from scratch that of `options.path`, or a trained one."""
    if source.from_scratch is None:
        return load_tokenizer(source)
    return load_tokenizer(options.path) if options.path is not None else train()


def _tokenizer_class(source: ModelSource) -> Any:
    # AutoTokenizer looks at the model type first, and for some (qwen2) rebuilds that family's tokenizer with other
    # splitting rules and added tokens, whatever tokenizer.json says.
    if source.path is not None and (Path(source.path) / "tokenizer.json").is_file():
        return PreTrainedTokenizerFast
    return AutoTokenizer


def _name_special_tokens(tokenizer: PreTrainedTokenizerFast, source: ModelSource) -> None:
    """Where the files name no end token (as GPT-2's), take those of the family's own tokenizer class."""
    if tokenizer.eos_token_id is not None:
        return
    try:
        family = AutoTokenizer.from_pretrained(source.location, **source.from_pretrained_options)
    except Exception:  # whatever is wrong with the folder: the missing end token is the sentence to say
        return
    vocabulary = tokenizer.get_vocab()
    for name in ("eos_token", "bos_token", "unk_token", "pad_token"):
        if getattr(tokenizer, name) is None and getattr(family, name) in vocabulary:
            setattr(tokenizer, name, getattr(family, name))


def require_autotokenizer_agrees(tokenizer: PreTrainedTokenizerFast, architecture: ModelArchitecture) -> None:
    """UserError when AutoTokenizer, beside a model of this architecture, would build another tokenizer.

    It rebuilds the tokenizers of some families (qwen2) with the family's own splitting rules.
    """
    with tempfile.TemporaryDirectory() as folder:
        scratch_config(architecture, tokenizer).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        auto = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    ours, theirs = (json.loads(each.backend_tokenizer.to_str()) for each in (tokenizer, auto))
    if any(ours[part] != theirs[part] for part in ("normalizer", "pre_tokenizer", "model")):
        raise UserError(
            f"config.model.source.from_scratch.architecture: beside a {architecture.architecture} model other "
            "programs read this tokenizer with that family's own rules and would see other tokens; choose llama, or "
            "give config.tokenizer.path of a tokenizer of that family"
        )


# Numbers, contractions, white space, other scripts, composed letters, code: where families of tokenizers differ.
_PROBE_TEXTS = (
    "It's 2026-11-27 and 1234567 of them can't, I'LL say: 3.14!",
    "two  spaces,\ttab\n\n\nlines \r\n  end ",
    "Zoë naïve e\u0301 Ǆ 東京 привет مرحبا हिन्दी 👍🏽 ½ ﬁ",
    "def f(x):\n\treturn {'a': x[0] != None}  # <b>&amp;</b>",
    "aaaaaaaa_bbbb-CamelCaseWord http://a.b/c?d=e%20f",
)


def autotokenizer_difference(folder: Path, tokenizer: PreTrainedTokenizerFast) -> str | None:
    """How AutoTokenizer, which looks at the model's type, reads this folder's tokenizer otherwise than we do.

    None where every probe text and special token has the same ids: what the two are called does not matter.
    """
    try:
        auto = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # tokenizers raises bare Exception for what it does not know
        return f"it cannot read it: {(str(error).splitlines() or [type(error).__name__])[0][:120]}"
    specials = "".join(token.content for token in tokenizer.added_tokens_decoder.values())
    for text in (*_PROBE_TEXTS, f"a{specials}b"):
        ours, theirs = (each(text, add_special_tokens=False)["input_ids"] for each in (tokenizer, auto))
        if ours != theirs:
            return (
                f"{len(theirs)} tokens for {text[:30]!r}, not {len(ours)}"
                if len(ours) != len(theirs)
                else (f"other tokens for {text[:30]!r}")
            )
    return None


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
