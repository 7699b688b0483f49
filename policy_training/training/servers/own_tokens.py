"""What of a server's answers must be known where they are taken as the policy's own tokens."""

from collections.abc import Mapping
from typing import Any

from learning.interface.options import UserError
from learning.models.tokenization import decode_response
from policy_training.training.config import SamplingOptions
from policy_training.training.rollouts.rollouts import Prompt
from policy_training.training.servers.sampler import ServedAnswer, WantedAnswers


def own_tokens_body(wanted: WantedAnswers, options: SamplingOptions) -> dict[str, Any]:
    """What takes the place of a request's prompt: its tokens, so that the server reads what this program reads; and
    nothing that the server's or the model's own generation settings would cut off beside what was asked.
    """
    return {
        "prompt": wanted.prompt.token_ids,
        "top_k": options.top_k or -1,
        "min_p": 0.0,
        "repetition_penalty": options.repetition_penalty,
    }


def require_logprobs(server: str, answer: ServedAnswer) -> None:
    """Raises UserError where not each token of an answer has its log-probability."""
    if len(answer.logprobs) != len(answer.token_ids):
        raise UserError(
            f"the model server {server}, prompt {answer.prompt_id}: it does not say the log-probability of each token "
            "of its answer (logprobs), so no rollout can be made of it; use a server that does, as vLLM, or sample "
            "without a server"
        )


def require_own_tokens(
    server: str, tokenizer: Any, prompt: Prompt, answer: ServedAnswer, choice: Mapping[str, Any]
) -> None:
    """Raises UserError where an answer's tokens are not known to be the policy's."""
    where = f"the model server {server}, prompt {prompt.prompt_id}"
    if not isinstance(choice.get("token_ids"), list):
        raise UserError(
            f"{where}: it does not say the tokens of its answer (return_token_ids), so no rollout can be made of it; "
            "use a server that does, as vLLM, or sample without a server"
        )
    read = choice.get("prompt_token_ids")
    if isinstance(read, list) and read != prompt.token_ids:
        raise UserError(
            f"{where}: it reads the prompt as {len(read)} other tokens than the policy's {len(prompt.token_ids)}; "
            "serve the policy with its own tokenizer"
        )
    if answer.has_eos and choice["token_ids"][-1:] != [tokenizer.eos_token_id]:
        raise UserError(
            f"{where}: its answer ends without the policy's end token (id {tokenizer.eos_token_id}); serve the policy "
            "with its own tokenizer and generation settings"
        )
    said = choice.get("text")
    if not isinstance(said, str) or _letters(said) != _letters(decode_response(tokenizer, answer.token_ids)):
        raise UserError(
            f"{where}: its tokens are another text here than there, so its tokenizer is not the policy's; serve the "
            "policy with its own tokenizer"
        )


def _letters(text: str) -> str:
    """Without what servers write differently: blanks, and the half of a character at the end of a cut answer."""
    return "".join(text.replace("\N{REPLACEMENT CHARACTER}", "").split())
