"""LoRA adapters on a model's trunk (Hu et al. 2021), by peft, and models that share the weights of one base.

Each role has modules of its own around the same base tensors. So nothing is ever switched between a forward pass and
its backward pass: a switch would drop gradients in silence, and with gradient checkpointing make them wrong. Heads are
outside the adapters, and adapters have no dropout. The base may be in 8 bit (learning.models.int8).

A model that is saved has the adapters' weights added to its own: any program reads it. Of a base in 8 bit these are the
dequantized ones, which is the model that was trained and measured. Beside it, in `adapter/`, stands the adapter in
peft's format, with a head that was trained, and what its base is.
"""

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from learning.interface.model_folders import ADAPTER_BASE_FILE, ADAPTER_FOLDER, require_own_files
from learning.interface.options import UserError
from learning.interface.training_options import LoraOptions, ModelSource
from learning.models.architectures import backbone, has_score_head, unwrap_model
from learning.models.int8 import dequantized_state, quantize_trunk

_NAME = "default"  # peft's, of the only adapter on a module
_PREFIX = "base_model.model."  # peft's, of the names in a file


@dataclass(frozen=True, kw_only=True)
class AdapterInfo:
    """What a model's adapter was made with; `base`: what the base is known by (base_identity)."""

    options: LoraOptions
    base_location: str
    base: Mapping[str, str]


def base_identity(source: ModelSource) -> dict[str, str]:
    """Equal for two sources exactly if they are the same weights: sha256 of the files, or the hub's id and revision."""
    if source.path is None:
        return {"hub_id": source.hub_id or "", "revision": source.revision or ""}
    found = {}
    for file in sorted(Path(source.path).glob("*.safetensors")):
        with open(file, "rb") as opened:
            found[file.name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found


def add_adapter(model: Any, options: LoraOptions, source: ModelSource) -> None:
    """Adapters on the trunk's linear layers, which alone are trained from here on, with the score head if there is one.

    At first the model computes what it did before, in 8 bit where that is asked for: B is 0. Call it before other heads
    are attached, and before the engine is made. Raises UserError for layers that are not there.
    """
    _inject(
        model,
        options,
        AdapterInfo(options=options, base_location=source.location, base=base_identity(source)),
    )


def adapter_info(model: Any) -> AdapterInfo | None:
    """None: the model has no adapter, all of its weights are its own."""
    return getattr(unwrap_model(model), "adapter_info", None)


def _inject(model: Any, options: LoraOptions, info: AdapterInfo) -> None:
    # peft takes a second to import, and most runs do without.
    from peft import LoraConfig, inject_adapter_in_model

    if options.base_precision == "int8":
        quantize_trunk(model)
    names = _target_names(model, options)
    transposed = isinstance(model.get_submodule(names[0]), Conv1D)
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        target_modules=names,
        lora_dropout=0.0,
        bias="none",
        fan_in_fan_out=transposed,
    )
    model.requires_grad_(False)
    inject_adapter_in_model(config, model, adapter_name=_NAME)
    if has_score_head(model):
        model.score.requires_grad_(True)
    model.adapter_info = info


def _target_names(model: Any, options: LoraOptions) -> list[str]:
    linear = [
        f"{model.base_model_prefix}.{name}"
        for name, module in backbone(model).named_modules()
        if isinstance(module, (nn.Linear, Conv1D))
    ]
    wanted = options.module_names
    if not wanted:
        return linear
    endings = {name.rpartition(".")[2] for name in linear}
    if unknown := sorted(set(wanted) - endings):
        raise UserError(
            f"lora.target_modules: the model has no linear layer {unknown[0]!r}; it has {', '.join(sorted(endings))}"
        )
    return [name for name in linear if name.rpartition(".")[2] in wanted]


# -- weights ------------------------------------------------------------------------------------------------------


def _adapted_layers(model: Any) -> dict[str, Any]:
    """Layers with an adapter by their names, which are those of the layers underneath."""
    if adapter_info(model) is None:
        return {}
    from peft.tuners.lora import LoraLayer

    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}


def _update(layer: Any, a: Tensor, b: Tensor) -> Tensor:
    """What the adapter adds to its layer's weight."""
    added = (b.float() @ a.float()) * layer.scaling[_NAME]
    return added.T if layer.fan_in_fan_out else added


@torch.no_grad()
def merged_state(model: Any, state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The state of the model without adapters and without 8-bit weights that computes the same. `state`: the model's
    own, where it is not whole in this process.
    """
    inner = unwrap_model(model)
    merged = dequantized_state(inner, inner.state_dict() if state is None else state)
    for name, layer in _adapted_layers(inner).items():
        a, b = (merged.pop(f"{name}.lora_{which}.{_NAME}.weight") for which in "AB")
        weight = merged.pop(f"{name}.base_layer.weight")
        merged[f"{name}.weight"] = (weight.float() + _update(layer, a, b)).to(weight.dtype)
        if (bias := merged.pop(f"{name}.base_layer.bias", None)) is not None:
            merged[f"{name}.bias"] = bias
    return merged


@contextmanager
def adapters_merged(model: Any) -> Iterator[None]:
    """Meanwhile the model's layers have the adapters' weights added, in copies: decoding, which multiplies small
    matrices, does without the adapters' own products. Without gradients only. Layers in 8 bit stay as they are: their
    copies would take the memory that 8 bit saves.
    """
    replaced: list[tuple[Any, str, Any]] = []
    inner = unwrap_model(model)
    try:
        for name, layer in _adapted_layers(inner).items():
            weight = layer.base_layer.weight
            if not weight.is_floating_point():
                continue
            plain = copy.deepcopy(layer.base_layer, {id(p): p for p in layer.base_layer.parameters()})
            with torch.no_grad():
                added = _update(layer, layer.lora_A[_NAME].weight, layer.lora_B[_NAME].weight)
                plain.weight = nn.Parameter((weight.float() + added).to(weight.dtype), requires_grad=False)
            parent, _, own = name.rpartition(".")
            holder = inner.get_submodule(parent)
            setattr(holder, own, plain)
            replaced.append((holder, own, layer))
        yield
    finally:
        for holder, own, layer in replaced:
            setattr(holder, own, layer)


def trained_state(model: Any) -> dict[str, Tensor]:
    """The state that training changes. Of a model without adapters it is the whole."""
    if adapter_info(model) is None:
        return dict(model.state_dict())
    # Tied weights have two names.
    every = model.named_parameters(remove_duplicate=False)
    frozen = {name for name, parameter in every if not parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def load_trained_state(model: Any, state: Mapping[str, Tensor]) -> None:
    """What `trained_state` gave. Raises RuntimeError for another model's."""
    expected = trained_state(model).keys()
    if adapter_info(model) is not None and expected != state.keys():
        other = sorted(expected ^ state.keys())
        raise RuntimeError(f"{len(other)} tensors are another model's, {other[0]} among them")
    model.load_state_dict(dict(state), strict=adapter_info(model) is None)


# -- one base for several models ------------------------------------------------------------------------------------


def share_weights(model: Any) -> Any:
    """A model of the same form, modules of its own around the very tensors of `model`."""
    return copy.deepcopy(model, {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())})


# -- files ------------------------------------------------------------------------------------------------------------


def write_adapter(model: Any, folder: Path, state: Mapping[str, Tensor] | None = None) -> None:
    """The model's adapter and score head, for peft and for `read_adapter`. `state`: as in `merged_state`."""
    from peft import LoraConfig

    inner, info = unwrap_model(model), adapter_info(model)
    assert info is not None
    layers = _adapted_layers(inner)
    state = inner.state_dict() if state is None else state
    is_reward_model = has_score_head(inner)
    kept = {f"{name}.lora_{which}" for name in layers for which in "AB"}
    tensors = {
        _PREFIX + name.replace(f".{_NAME}.", "."): tensor.detach().cpu().contiguous()
        for name, tensor in state.items()
        if name.rpartition(f".{_NAME}.")[0] in kept or (is_reward_model and name.startswith("score."))
    }
    first = next(iter(layers.values()))
    config = LoraConfig(
        r=info.options.rank,
        lora_alpha=info.options.alpha,
        target_modules=sorted({name.rpartition(".")[2] for name in layers}),
        lora_dropout=0.0,
        fan_in_fan_out=first.fan_in_fan_out,
        modules_to_save=["score"] if is_reward_model else None,
        task_type="SEQ_CLS" if is_reward_model else "CAUSAL_LM",
        base_model_name_or_path=info.base_location,
        inference_mode=True,
    )
    folder.mkdir()
    config.save_pretrained(folder)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    described = {"options": asdict(info.options), "base": dict(info.base)}
    (folder / ADAPTER_BASE_FILE).write_text(json.dumps(described, indent=2) + "\n")


def adapter_on(source: ModelSource, base: Mapping[str, str]) -> LoraOptions | None:
    """The options of the adapter that stands in this model's folder, if it is one on `base`; else None."""
    file = Path(source.path or "") / ADAPTER_FOLDER / ADAPTER_BASE_FILE
    if source.path is None or not file.is_file():
        return None
    require_own_files(file.parent)
    try:
        described = json.loads(file.read_text())
        if described["base"] != dict(base):
            return None
        return LoraOptions(**described["options"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file}: cannot be read ({error}); remove the folder, the model is whole without it"
        ) from error


def read_adapter(model: Any, source: ModelSource, options: LoraOptions, base: Mapping[str, str]) -> None:
    """Put the adapter of the source's folder, and its head, on `model`, which has the base's weights, in 8 bit where
    the adapter's options say so.
    """
    _inject(model, options, AdapterInfo(options=options, base_location=source.location, base=base))
    file = Path(source.path or "") / ADAPTER_FOLDER / "adapter_model.safetensors"
    try:
        tensors = load_file(file)
        state = {}
        for name, tensor in tensors.items():
            own = name.removeprefix(_PREFIX)
            for which in "AB":
                own = own.replace(f".lora_{which}.", f".lora_{which}.{_NAME}.")
            state[own] = tensor
        load_trained_state(model, state)
    except Exception as error:  # safetensors and torch raise many kinds for a damaged file
        raise UserError(f"{file}: is not an adapter for this model ({str(error)[:200]})") from error
