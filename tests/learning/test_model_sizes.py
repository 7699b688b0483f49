"""How large the models of a run are: numbers that the shapes give, and what is shared counted once."""

import torch
from torch import nn

from learning.models.sizes import role_sizes, sizes_as_rows


def chain(*widths, dtype=torch.float32):
    return nn.Sequential(*(nn.Linear(a, b, dtype=dtype) for a, b in zip(widths, widths[1:], strict=False)))


def test_weights_gradients_and_moments_are_those_of_the_shapes():
    policy, reference = chain(8, 16, 4), chain(8, 16, 4, dtype=torch.bfloat16)
    policy[0].requires_grad_(False)  # as under adapters
    one, two = role_sizes({"policy": policy, "reference": reference}, trained=("policy",))
    numbers, learning = (8 * 16 + 16) + (16 * 4 + 4), 16 * 4 + 4
    assert (one.parameters, one.own_parameters, one.trained_parameters) == (numbers, numbers, learning)
    assert (one.weight_bytes, one.gradient_bytes, one.optimizer_bytes) == (
        4 * numbers,
        4 * learning,
        8 * learning,  # AdamW's two moments
    )
    assert (two.parameters, two.weight_bytes, two.trained_parameters, two.bytes) == (
        numbers,
        2 * numbers,
        0,
        2 * numbers,
    )
    assert sizes_as_rows([one])[0]["bytes"] == 4 * numbers + 12 * learning


def test_what_two_roles_share_is_the_first_one_s():
    trunk, head = chain(8, 8), nn.Linear(8, 1)
    policy, critic = nn.Sequential(trunk, nn.Linear(8, 5)), nn.Sequential(trunk, head)
    _, second = role_sizes({"policy": policy, "critic": critic}, trained=("policy", "critic"))
    assert (second.parameters, second.own_parameters, second.trained_parameters) == (72 + 9, 9, 72 + 9)
    assert (second.weight_bytes, second.gradient_bytes, second.optimizer_bytes) == (36, 36, 72)


def test_tied_weights_are_one():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10, bias=False))
    model[1].weight = model[0].weight
    (size,) = role_sizes({"policy": model}, trained=("policy",))
    assert (size.parameters, size.weight_bytes) == (40, 160)
