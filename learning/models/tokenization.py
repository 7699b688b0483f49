"""Text to token ids and back: our own byte-level tokenizer, prompts in the chat template, responses.

Role markers and other special tokens enter ids only through the template and this module, never through
what people or models wrote: a response that contains the text "<|eos|>" is encoded as those characters.
"""

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from learning.interface.messages import Answer, goes_on
from learning.interface.options import UserError
from learning.interface.text import replace_unstorable_characters
from learning.models.chat_rendering import MarkedMessages, Message, encode_text, render_template, turn_border

PAD, BOS, EOS = "<|pad|>", "<|bos|>", "<|eos|>"
ROLE_TOKENS = ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")

# Each call in a form of its own line; what is between the tags is JSON.
_CALLS = (
    "{% for call in message['tool_calls'] or [] %}{{ '\\n<tool_call>' }}"
    "{{ {'name': call['function']['name'], 'arguments': call['function']['arguments']} | tojson }}"
    "{{ '</tool_call>' }}{% endfor %}"
)

# One token opens a turn; only an assistant's turn ends with the end-of-sequence token, which is what a policy
# must learn to say.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] }}"
    + _CALLS
    + "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

# For tokenizers that come without a template (base models): the transcript form of the HH data.
TRANSCRIPT_TEMPLATE = (
    "{{ bos_token or '' }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '\\n\\nAssistant: ' + message['content'] }}"
    + _CALLS
    + "{{ eos_token }}"
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
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message], max_tokens: int
) -> list[int]:
    """Ids of the conversation up to and including the marker after which the response begins.

    A conversation longer than `max_tokens` loses its earliest turns first (a leading system turn stays);
    when the last turn alone is too long, tokens go from the left and the start token stays.
    """
    return encode_prompt_or_cut(tokenizer, messages, max_tokens)[0]


def encode_prompt_or_cut(
    tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message], max_tokens: int
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
    ids = encode_text(tokenizer, text)
    if ended or not ids:  # a response needs a token to be read at; without any other it is the end
        ids = [*ids, tokenizer.eos_token_id]
    return ids[:max_tokens], len(ids) > max_tokens


def decode_response(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> str:
    """Text of sampled ids without special tokens; NUL, which no record may hold, becomes U+FFFD."""
    text = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return replace_unstorable_characters(text)


def encode_answer(
    tokenizer: PreTrainedTokenizerFast,
    prompt: Sequence[Message],
    answer: Answer,
    max_tokens: int,
    *,
    ended: bool = True,
) -> list[int]:
    """Ids of a response to a prompt, whether it is a text or has calls or several turns."""
    return encode_answer_or_cut(tokenizer, prompt, answer, max_tokens, ended=ended)[0]


def encode_answer_or_cut(
    tokenizer: PreTrainedTokenizerFast,
    prompt: Sequence[Message],
    answer: Answer,
    max_tokens: int,
    *,
    ended: bool = True,
) -> tuple[list[int], bool]:
    """The ids of `encode_answer`, and whether something of them was left out.

    Turns are what the chat template writes after the prompt's own ids, up to the end of the last turn, which is the
    end-of-sequence token as after a text. Raises UserError where the template leaves calls out.
    """
    if isinstance(answer, str):
        text = _without_opening(tokenizer, answer)
        return encode_response_or_cut(tokenizer, text, max_tokens, ended=ended)
    ids = _encode_turns(tokenizer, list(prompt), answer)
    if ended or not ids:
        ids = [*ids, tokenizer.eos_token_id]
    return ids[:max_tokens], len(ids) > max_tokens


def count_assistants_tokens(
    tokenizer: PreTrainedTokenizerFast, prompt: Sequence[Message], answer: Answer, n_tokens: int
) -> list[bool] | None:
    """Of a conversation that goes on: for each of the first `n_tokens` ids of `encode_answer`, whether the assistant
    says it (the end of each of its turns too). What the user says is read and not learned. None for a single answer.
    """
    if isinstance(answer, str) or not goes_on(answer):
        return None
    parts, rest = _render_turns(tokenizer, list(prompt), answer)
    end = turn_border(tokenizer, tokenizer.chat_template).end.strip()
    return [*parts.are_assistants(tokenizer, rest, end), True][:n_tokens]


def _encode_turns(
    tokenizer: PreTrainedTokenizerFast, prompt: list[Message], turns: Sequence[Message]
) -> list[int]:
    """What the template adds to the prompt for these turns, without what closes the last of them."""
    parts, rest = _render_turns(tokenizer, prompt, turns)
    return parts.encode(tokenizer, rest)


def _render_turns(
    tokenizer: PreTrainedTokenizerFast, prompt: list[Message], turns: Sequence[Message]
) -> tuple[MarkedMessages, str]:
    """The same before it is encoded: the messages whose texts are marks, and what the template adds."""
    messages = [*prompt, *turns]
    parts = MarkedMessages(tokenizer, messages, always=True)
    opened = parts.render(tokenizer, len(prompt), add_generation_prompt=True)
    whole = parts.render(tokenizer, len(messages))
    if whole.startswith(opened):
        rest = whole[len(opened) :]
    else:
        # A template that opens the answer itself (<think>) writes it only where an answer is asked for.
        asked = parts.render(tokenizer, len(prompt))
        header = _common_prefix(opened[len(asked) :], whole[len(asked) :])
        if not whole.startswith(asked) or not header.strip():
            raise UserError(
                f"{tokenizer.name_or_path}: its chat template writes a prompt otherwise when an answer follows, so "
                "that responses of several turns cannot be told from their prompts"
            )
        rest = whole[len(asked) + len(header) :]
    border = turn_border(tokenizer, tokenizer.chat_template)
    return parts, rest.removeprefix(border.start).removesuffix(border.end)


def _common_prefix(header: str, text: str) -> str:
    """The lines of the header that the text begins with."""
    lines = header.splitlines(keepends=True)
    kept = ""
    for line in lines:
        if not text.startswith(kept + line):
            break
        kept += line
    return kept


def _without_opening(tokenizer: PreTrainedTokenizerFast, text: str) -> str:
    """The text without the opening that the prompt's template wrote already, as a policy samples it."""
    opening = turn_border(tokenizer, tokenizer.chat_template).opening if text.startswith("<think>") else ""
    if not opening:
        return text
    return (
        text.removeprefix(opening) if text.startswith(opening) else text.removeprefix("<think>").lstrip("\n")
    )


def _encode_template(tokenizer: PreTrainedTokenizerFast, messages: list[Message]) -> list[int]:
    """The prompt's ids. Template and contents are encoded apart only where a content holds the text of a special
    token: apart, a token never spans the border, which is not how the model was trained on ordinary conversations.
    """
    parts = MarkedMessages(tokenizer, messages)
    if parts.needed:
        return parts.encode(tokenizer, parts.render(tokenizer, len(messages), add_generation_prompt=True))
    rendered = render_template(tokenizer, messages, add_generation_prompt=True)
    return tokenizer(rendered, add_special_tokens=False)["input_ids"]
