"""Round-to-nearest in 8 bit by numpy, in float64: what learning.models.int8 is held against."""

import numpy as np
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D


def round_to_nearest(weight_OI):
    """(levels, float64 (O, I); scales, float64 (O,)): of 127 levels to each side, halves to the even one."""
    weight_OI = weight_OI.astype(np.float64)
    scale_O = np.abs(weight_OI).max(axis=1) / 127
    scale_O[scale_O == 0] = 1.0
    return np.rint(weight_OI / scale_O[:, None]), scale_O


def dequantized_like(model):
    """The model, in place, whose trunk's linear layers have the weights that 8 bit can say, in its own precision."""
    trunk = getattr(model, model.base_model_prefix)
    for layer in trunk.modules():
        if isinstance(layer, nn.Linear | Conv1D):
            weight = layer.weight.detach().numpy()
            levels, scales = round_to_nearest(weight.T if isinstance(layer, Conv1D) else weight)
            used = levels * scales[:, None]
            used = used.T if isinstance(layer, Conv1D) else used
            layer.weight.data = torch.from_numpy(np.ascontiguousarray(used)).to(layer.weight.dtype)
    return model
