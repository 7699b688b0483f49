"""The models of a run whose policy learns by LoRA: policy, reference, reward model and critic around one base.

The reference is the base without adapters. A reward model that was trained by LoRA on the same base, in the same
precision, brings its adapter and its head; any other has weights of its own, and a critic that starts from it is an
adapter on those. Weights of a reward model's own stay in full precision: in 8 bit it would give other scores.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from learning.interface.options import UserError
from learning.interface.training_options import LoraOptions, ModelOptions, ModelSource
from learning.models.adapters import (
    adapter_info,
    adapter_on,
    add_adapter,
    base_identity,
    read_adapter,
    share_weights,
)
from learning.models.architectures import backbone
from learning.models.int8 import quantize_trunk
from learning.models.loading import load_policy, load_reward_model, new_score_head
from policy_training.training.rollouts.model_sources import load_reference


class SharedBase:
    """A base in memory, and models around its weights. None of them changes it."""

    def __init__(self, source: ModelSource, tokenizer: Any, lora: LoraOptions) -> None:
        self.source, self.lora = source, lora
        self._plain = load_policy(source, tokenizer).requires_grad_(False)
        if lora.base_precision == "int8":
            quantize_trunk(self._plain)
        self._identity = base_identity(source)

    def policy(self) -> Any:
        """With a new adapter: at first it is the base to the bit."""
        model = share_weights(self._plain)
        add_adapter(model, self.lora, self.source)
        return model

    def reference(self) -> Any:
        return share_weights(self._plain)

    def load_reward_model(self, source: ModelSource, tokenizer: Any) -> Any:
        """On the base where its adapter is one of it; else with weights of its own. To be read, or to be trained."""
        lora = adapter_on(source, self._identity)
        rows = self._plain.get_input_embeddings().num_embeddings
        is_on_base = lora is not None and lora.base_precision == self.lora.base_precision
        if lora is None or not is_on_base or len(tokenizer) > rows:
            return load_reward_model(source, tokenizer)
        model = self._classifier(
            AutoConfig.from_pretrained(source.location, **source.from_pretrained_options)
        )
        read_adapter(model, source, lora, self._identity)
        return model

    def critic(
        self, source: ModelSource | None = None, reward_model: Any = None, tokenizer: Any = None
    ) -> Any:
        """A copy of `reward_model`, which was read from `source`; without one a new head on the base."""
        if reward_model is None:
            model = self._classifier(type(self._plain.config).from_dict(self._plain.config.to_dict()))
            new_score_head(model)
            add_adapter(model, self.lora, self.source)
        elif adapter_info(reward_model) is not None:
            assert source is not None
            model = self.load_reward_model(source, tokenizer)
        else:
            assert source is not None
            model = share_weights(reward_model)
            model.score = _copy(reward_model.score)  # it is trained; the reward model's stays
            add_adapter(model, replace(self.lora, base_precision="full"), source)
        return model

    def _classifier(self, config: Any) -> Any:
        """A trunk of the base's weights under a head that has none yet."""
        config.num_labels = 1
        trunk = share_weights(backbone(self._plain))
        with torch.device("meta"):  # no second trunk in memory
            model = AutoModelForSequenceClassification.from_config(
                config, dtype=torch.float32, attn_implementation=trunk.config._attn_implementation
            )
        if not hasattr(model, "score"):
            raise UserError(
                f"{self.source.display_name}: {config.model_type} has no score head that can be trained here"
            )
        setattr(model, model.base_model_prefix, trunk)
        head = model.score
        model.score = nn.Linear(head.in_features, head.out_features, bias=head.bias is not None)
        return model


def base_of(options: ModelOptions, tokenizer: Any) -> SharedBase | None:
    """None where every weight is trained."""
    return SharedBase(options.source, tokenizer, options.lora) if options.lora.rank else None


def load_policy_on(base: SharedBase | None, source: ModelSource, tokenizer: Any) -> Any:
    return load_policy(source, tokenizer) if base is None else base.policy()


def load_reference_on(base: SharedBase | None, source: ModelSource, tokenizer: Any) -> Any:
    """The base itself where it is what is named."""
    if base is not None and source == base.source:
        return base.reference()
    return load_reference(source, tokenizer)


def load_models(
    options: ModelOptions, reference: ModelSource | None, tokenizer: Any
) -> tuple[Any, Any, Callable[[ModelSource, Any], Any]]:
    """Policy, reference (None: the policy at the start), and what loads the reward models beside them."""
    base = base_of(options, tokenizer)
    return (
        load_policy_on(base, options.source, tokenizer),
        load_reference_on(base, reference or options.source, tokenizer),
        load_reward_model if base is None else base.load_reward_model,
    )


def _copy(head: nn.Linear) -> nn.Linear:
    copied = nn.Linear(head.in_features, head.out_features, bias=head.bias is not None)
    copied.load_state_dict(head.state_dict())
    return copied
