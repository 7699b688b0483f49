"""The configurations of recorded runs under the names of now, so that a run of the version before can be run again from
the start. The run's own config.json stays as it was written; a run that has begun is not resumed.

A configuration that does not have the shape of the version before stays as it is.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

names = importlib.import_module("rounds.migrations.0003_plain_names")

BACKEND = ((("runtime.engine", "runtime.backend"),), (("runtime.backend", "plain", "torch"),))
LAYOUT = ("batch.layout", "packed", "shared_prompt")
LANGUAGE_MODEL_KEYS = (
    ("optimiser", "optimizer"),
    *names._inside(("optimizer",), names.OPTIMIZER),
    *names._inside(("model.source",), names.MODEL_SOURCE),
    ("data.rows", "data.packing"),
    ("data.examples_a_step", "data.examples_per_step"),
    ("data.window_tokens", "data.max_length"),
    ("watching", "evaluation"),
    ("evaluation.evaluation_examples", "evaluation.max_examples"),
    ("evaluation.samples", "evaluation.logged_samples"),
    *BACKEND[0],
)
LANGUAGE_MODEL_VALUES = (
    ("data.packing", "conversations", False),
    ("data.packing", "windows", True),
    LAYOUT,
    *BACKEND[1],
)
SAMPLE_KEYS = (
    ("samples_a_prompt", "samples_per_prompt"),
    ("sampling.rows_a_batch", "sampling.batch_size"),
    ("temperatures", "sampling.temperatures"),
    ("max_prompt_tokens", "sampling.max_prompt_tokens"),
    ("max_response_tokens", "sampling.max_response_tokens"),
    *names._inside(("policy",), names.MODEL_SOURCE),
    *BACKEND[0],
)


def _of_plan(part: str) -> Callable[[Any], Any]:
    """A configuration that is part of a plan, by the plan's own table."""
    return lambda config: names.renamed_plan({part: config})[part]


def _by(keys: Sequence[tuple[str, str]], values: Sequence[tuple[str, Any, Any]]) -> Callable[[Any], Any]:
    return lambda config: names._renamed(config, keys, values)


def _sample(config: Any) -> Any:
    config = names._renamed(config, SAMPLE_KEYS, BACKEND[1])
    holder, name = names._holder(config, "sampling.temperature")
    if holder is not None:
        holder.pop(name, None)  # it was never read; the list of temperatures was
    return config


RENAMES: dict[str, Callable[[Any], Any]] = {
    "rewardmodel.train": _of_plan("reward_model"),
    "rewardmodel.score": _by(BACKEND[0], (LAYOUT, *BACKEND[1])),
    "policy.ppo": _of_plan("policy"),
    "policy.sft": _by(LANGUAGE_MODEL_KEYS, LANGUAGE_MODEL_VALUES),
    "policy.pretrain": _by(LANGUAGE_MODEL_KEYS, LANGUAGE_MODEL_VALUES),
    "policy.sample": _sample,
}


def renamed_config(kind: str, config: Any) -> Any:
    """The configuration of a run of this kind under the names of now."""
    return RENAMES[kind](config) if kind in RENAMES else config


def rename_configs(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    runs = apps.get_model("runs", "Run").objects.using(schema_editor.connection.alias)
    for pk, kind, config in list(runs.values_list("pk", "kind", "config")):
        runs.filter(pk=pk).update(config=renamed_config(kind, config))


class Migration(migrations.Migration):
    dependencies = [
        ("rounds", "0003_plain_names"),
        ("runs", "0003_plain_names"),
    ]

    operations = [migrations.RunPython(rename_configs, migrations.RunPython.noop)]
