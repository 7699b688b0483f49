"""Kendall's tau-b between rankings of the same responses. Pure functions of arrays."""

from typing import Any

import numpy as np

Array = Any


def kendall_tau_b(one_MK: Array, other_MK: Array) -> Array:
    """Tau-b of M pairs of rankings of K responses, as ranks; equal ranks are ties. nan where one ties everything.

    (concordant - discordant) / sqrt(pairs not tied in the one * pairs not tied in the other), Kendall (1945).
    """
    first, second = np.triu_indices(one_MK.shape[1], k=1)
    one = np.sign(one_MK[:, first] - one_MK[:, second])
    other = np.sign(other_MK[:, first] - other_MK[:, second])
    untied = np.sqrt(np.abs(one).sum(axis=1).astype(float) * np.abs(other).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(untied > 0, (one * other).sum(axis=1) / untied, np.nan)
