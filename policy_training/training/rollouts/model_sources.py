"""Where the models of a run come from: whether they read the same tokens, and of which files they are."""

from pathlib import Path
from typing import Any

from learning.interface.options import UserError
from learning.interface.training_options import ModelSource
from learning.models.files import model_sha256s
from learning.models.loading import load_policy
from learning.models.tokenizers import load_tokenizer
from rewardmodel.training.model_card import prompt_template


def load_reference(source: ModelSource, tokenizer: Any) -> Any:
    """The model that a policy with this tokenizer is held against, token by token. Raises UserError."""
    if not same_tokenization(load_tokenizer(source), tokenizer):
        raise UserError(
            f"config.reference: {source.path or source.hub_id} has another tokenizer than the policy, so the "
            "probabilities of its tokens cannot be compared; name a model of the same line"
        )
    return load_policy(source, tokenizer)


def same_tokenization(first: Any, second: Any) -> bool:
    """Whether two tokenizers turn every prompt and every response into the same ids."""
    return (
        first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()
        and prompt_template(first) == prompt_template(second)
        and first.eos_token_id == second.eos_token_id
        and first.bos_token_id == second.bos_token_id
    )


def model_source_sha256s(source: ModelSource) -> dict[str, str]:
    """Of the files of a local folder; nothing for a hub id, whose revision names it."""
    return dict(model_sha256s(Path(source.path))) if source.path is not None else {}
