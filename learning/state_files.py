"""Nested state as two files without pickle: tensors in safetensors, everything else in JSON.

Kept exactly: dicts with text or whole-number keys, lists, tuples, numbers (also nan and inf), text, None,
tensors and NumPy arrays. Tensors that are one in memory are stored once. Anything else is a TypeError when
it is written.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

_TAG = "__kind__"


@dataclass
class _TensorCollector:
    """Tensors met so far.

    The originals are kept alive: memory that is freed and reused would look like them.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    names: dict[tuple[Any, ...], str] = field(default_factory=dict)
    storages: set[int] = field(default_factory=set)
    alive: list[torch.Tensor] = field(default_factory=list)


def write_state(stem: Path, state: Any) -> None:
    """Write `<stem>.json` and `<stem>.safetensors`."""
    collector = _TensorCollector()
    tree = _encode(state, collector)
    save_file(collector.tensors, stem.with_name(stem.name + ".safetensors"))
    stem.with_name(stem.name + ".json").write_text(json.dumps(tree, allow_nan=False))


def read_state(stem: Path) -> Any:
    """The state that `write_state` wrote, tensors on the CPU."""
    tree = json.loads(stem.with_name(stem.name + ".json").read_text())
    with safe_open(stem.with_name(stem.name + ".safetensors"), framework="pt") as file:
        return _decode(tree, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - not a dict


def _encode(value: Any, collector: _TensorCollector) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_TAG: "float", "value": str(value)}
    if isinstance(value, torch.Tensor):
        return {_TAG: "tensor", "name": _store_tensor(value, collector)}
    if isinstance(value, np.ndarray):
        # Unsigned types that torch has no arithmetic for travel as bytes.
        raw = torch.from_numpy(np.frombuffer(value.tobytes(), dtype=np.uint8).copy())
        name = _store_tensor(raw, collector)
        return {_TAG: "array", "name": name, "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, tuple):
        return {_TAG: "tuple", "items": [_encode(item, collector) for item in value]}
    if isinstance(value, list):
        return [_encode(item, collector) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and _TAG not in value:
            return {key: _encode(item, collector) for key, item in value.items()}
        if all(isinstance(key, (str, int)) and not isinstance(key, bool) for key in value):
            items = [[key, _encode(item, collector)] for key, item in value.items()]
            return {_TAG: "dict", "items": items}
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__} {value!r}"[:200])


def _store_tensor(tensor: torch.Tensor, collector: _TensorCollector) -> str:
    # Tied weights are one piece of memory seen twice; safetensors refuses to write it twice.
    key = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
    if tensor.numel() > 0 and key in collector.names:
        return collector.names[key]
    name = f"t{len(collector.tensors)}"
    stored = tensor.detach().cpu().contiguous()
    storage = stored.untyped_storage()
    is_part = storage.nbytes() != stored.numel() * stored.element_size()
    if is_part or storage.data_ptr() in collector.storages:
        stored = stored.clone()
    collector.tensors[name] = stored
    collector.names[key] = name
    collector.storages.add(stored.untyped_storage().data_ptr())
    collector.alive.append(tensor)
    return name


def _decode(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(tree, list):
        return [_decode(item, tensors) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kind = tree.get(_TAG)
    if kind is None:
        return {key: _decode(item, tensors) for key, item in tree.items()}
    if kind == "float":
        return float(tree["value"])
    if kind == "tensor":
        return tensors[tree["name"]]
    if kind == "array":
        raw = tensors[tree["name"]].numpy().tobytes()
        return np.frombuffer(raw, dtype=np.dtype(tree["dtype"])).reshape(tree["shape"]).copy()
    if kind == "tuple":
        return tuple(_decode(item, tensors) for item in tree["items"])
    return {key: _decode(item, tensors) for key, item in tree["items"]}
