"""How large the models of a run are, and what they need of memory, role by role.

Weights that several roles share (adapters on one base, a critic on the policy's trunk, tied embeddings) are counted for
the first role that has them. Activations are not counted: they depend on the micro-batch. Of one process, before
DeepSpeed divides anything.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from learning.models.architectures import unwrap_model
from learning.models.int8 import int8_layers

ADAM_MOMENTS = 2  # of each trained number, in its own precision (AdamW)


@dataclass(frozen=True, kw_only=True)
class RoleSize:
    """Of one role. Bytes are of weights, gradients and moments that no role before it has."""

    role: str
    parameters: int  # of the whole model, shared ones too
    int8_parameters: int = 0  # of them in 8 bit
    own_parameters: int  # that no role before it has
    trained_parameters: int
    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int

    @property
    def bytes(self) -> int:
        return self.weight_bytes + self.gradient_bytes + self.optimizer_bytes


def role_sizes(models: Mapping[str, Any], trained: Collection[str]) -> list[RoleSize]:
    """Of the models by role, in this order; of those in `trained` the parameters with gradients are."""
    seen: set[int] = set()
    seen_trained: set[int] = set()
    sizes = []
    for role, model in models.items():
        every = list(unwrap_model(model).parameters())  # a tied one comes once
        int8 = [layer for _, layer in int8_layers(unwrap_model(model))]
        scales = [layer.scale_O for layer in int8 if id(layer.weight) not in seen]
        own = [each for each in every if id(each) not in seen]
        learning = [each for each in every if each.requires_grad] if role in trained else []
        new = [each for each in learning if id(each) not in seen_trained]
        gradient_bytes = sum(each.numel() * each.element_size() for each in new)
        sizes.append(
            RoleSize(
                role=role,
                parameters=sum(each.numel() for each in every),
                int8_parameters=sum(layer.weight.numel() for layer in int8),
                own_parameters=sum(each.numel() for each in own),
                trained_parameters=sum(each.numel() for each in learning),
                weight_bytes=sum(each.numel() * each.element_size() for each in [*own, *scales]),
                gradient_bytes=gradient_bytes,
                optimizer_bytes=ADAM_MOMENTS * gradient_bytes,
            )
        )
        seen |= {id(each) for each in every}
        seen_trained |= {id(each) for each in learning}
    return sizes


def sizes_as_rows(sizes: Collection[RoleSize]) -> list[dict[str, Any]]:
    """For models.json of the run's folder."""
    return [{**asdict(size), "bytes": size.bytes} for size in sizes]
