"""Text to token ids and back: our own byte-level tokenizer, prompts in the chat template, responses.

Role markers and other special tokens enter ids only through the template and this module, never through
what people or models wrote: a response that contains the text "<|eos|>" is encoded as those characters.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from learning.interface.options import UserError
from learning.interface.text import replace_unstorable_characters

PAD, BOS, EOS = "<|pad|>", "<|bos|>", "<|eos|>"
ROLE_TOKENS = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")

# One token opens a turn; only an assistant's turn ends with the end-of-sequence token, which is what a policy
# must learn to say.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

# For tokenizers that come without a template (base models): the transcript form of the HH data.
TRANSCRIPT_TEMPLATE = (
    "{{ bos_token or '' }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '\\n\\nAssistant: ' + message['content'] + eos_token }}"
    "{% elif message['role'] == 'user' %}{{ '\\n\\nHuman: ' + message['content'] }}"
    "{% else %}{{ '\\n\\n' + message['role'].capitalize() + ': ' + message['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '\\n\\nAssistant:' }}{% endif %}"
)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE of at most `vocab_size` tokens; distinct padding, start and end tokens, our template.

    Raises UserError when the size leaves no room for the 256 bytes and the special tokens.
    """
    specials = [PAD, BOS, EOS, *ROLE_TOKENS]
    least = 256 + len(specials)
    if vocab_size < least:
        raise UserError(
            f"vocab_size must be at least {least} (256 bytes and {len(specials)} special tokens), found {vocab_size}"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        extra_special_tokens=list(ROLE_TOKENS),
        chat_template=CHAT_TEMPLATE,
        padding_side="right",
    )


def encode_prompt(
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[Mapping[str, str]], max_tokens: int
) -> list[int]:
    """Ids of the conversation up to and including the marker after which the response begins.

    A conversation longer than `max_tokens` loses its earliest turns first (a leading system turn stays);
    when the last turn alone is too long, tokens go from the left and the start token stays.
    """
    return encode_prompt_or_cut(tokenizer, messages, max_tokens)[0]


def encode_prompt_or_cut(
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[Mapping[str, str]], max_tokens: int
) -> tuple[list[int], bool]:
    """The ids of `encode_prompt`, and whether something of the conversation was left out."""
    kept = list(messages)
    ids = _encode_template(tokenizer, kept)
    is_cut = len(ids) > max_tokens
    while len(ids) > max_tokens:
        first = 1 if kept[0]["role"] == "system" else 0
        if len(kept) - first <= 1:
            break
        del kept[first]
        ids = _encode_template(tokenizer, kept)
    if len(ids) > max_tokens:
        start = ids[:1] if ids[0] == tokenizer.bos_token_id else []
        ids = [*start, *ids[len(ids) - max_tokens + len(start) :]]
    return ids, is_cut


def encode_response(
    tokenizer: PreTrainedTokenizerFast, text: str, max_tokens: int, *, ended: bool = True
) -> list[int]:
    """Ids of a response and its end-of-sequence id; a response that is too long is cut and has none.

    Nor has one that had not `ended` when its sampler stopped: it reads as its sampler left it.
    """
    return encode_response_or_cut(tokenizer, text, max_tokens, ended=ended)[0]


def encode_response_or_cut(
    tokenizer: PreTrainedTokenizerFast, text: str, max_tokens: int, *, ended: bool = True
) -> tuple[list[int], bool]:
    """The ids of `encode_response`, and whether something of them (the end too) was left out."""
    ids = _encode_text(tokenizer, text)
    if ended or not ids:  # a response needs a token to be read at; without any other it is the end
        ids = [*ids, tokenizer.eos_token_id]
    return ids[:max_tokens], len(ids) > max_tokens


def decode_response(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> str:
    """Text of sampled ids without special tokens; NUL, which no record may hold, becomes U+FFFD."""
    text = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return replace_unstorable_characters(text)


def _encode_text(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def _encode_template(tokenizer: PreTrainedTokenizerFast, messages: list[Mapping[str, str]]) -> list[int]:
    specials = _special_texts(tokenizer)
    if any(special in message["content"] for message in messages for special in specials):
        return _encode_template_safely(tokenizer, messages)
    return tokenizer(_rendered(tokenizer, messages), add_special_tokens=False)["input_ids"]


def _encode_template_safely(
    tokenizer: PreTrainedTokenizerFast, messages: list[Mapping[str, str]]
) -> list[int]:
    """Template and contents encoded apart, so that contents cannot contain the template's special tokens.

    Only for contents that hold such text: apart, a token never spans the border, which is not how the model
    was trained on ordinary conversations.
    """
    # Private-use characters stand for the contents; a content that has them itself cannot be told apart.
    marks = [f"\ue000{index}\ue001" for index in range(len(messages))]
    if any("\ue000" in message["content"] for message in messages):
        raise UserError(
            "a prompt holds both a special token of the tokenizer and the private-use character U+E000; remove one"
        )
    marked = [{**message, "content": mark} for message, mark in zip(messages, marks, strict=True)]
    rest = _rendered(tokenizer, marked)
    ids: list[int] = []
    for message, mark in zip(messages, marks, strict=True):
        before, found, rest = rest.partition(mark)
        if not found:
            raise UserError("the tokenizer's chat template leaves out or reorders turns of this prompt")
        ids += tokenizer(before, add_special_tokens=False)["input_ids"] if before else []
        ids += _encode_text(tokenizer, message["content"])
    return ids + (tokenizer(rest, add_special_tokens=False)["input_ids"] if rest else [])


def _rendered(tokenizer: PreTrainedTokenizerFast, messages: Sequence[Mapping[str, str]]) -> str:
    try:
        rendered: Any = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except jinja2.TemplateError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise UserError(
            f"the tokenizer's chat template refuses a prompt with turns {roles} ({error})"
        ) from error
    return rendered


def _special_texts(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    return [token.content for token in tokenizer.added_tokens_decoder.values()]
