"""How a run is carried: processes, device, engine, ZeRO stage; what commands and forms ask for, how pages say it."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, get_args

from django import forms
from django.utils.translation import gettext_lazy, ngettext

from learning.interface.training_options import MAX_PROCESSES, ZERO_STAGES, Backend, Device
from runs.models import Run

DEVICE_LABELS = {"cpu": "CPU", "cuda": "GPU", "auto": gettext_lazy("GPU where there is one, else CPU")}
ENGINE_LABELS = {"torch": "PyTorch", "deepspeed": "DeepSpeed"}
# Command-line option and form field of each value.
FIELDS = ("processes", "device", "engine", "zero_stage")


def runtime_values(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Values of `runtime` (RuntimeOptions) for what was asked under the names of FIELDS; None or empty: not asked.

    ZeRO exists with DeepSpeed only: whoever asks for it and names no engine gets that one. Whether an engine that was
    named fits is for the configuration's own check.
    """
    engine, zero_stage = asked.get("engine"), asked.get("zero_stage")
    if not engine and zero_stage:
        engine = "deepspeed"
    values = {"device": asked.get("device") or None, "backend": engine or None, "zero_stage": zero_stage}
    return {name: value for name, value in values.items() if value is not None}


def add_execution_arguments(parser: ArgumentParser, *, trains: bool = True) -> None:
    """`trains`: it has an optimizer, whose states an engine divides."""
    group = parser.add_argument_group("how it is carried")
    group.add_argument(
        "--processes", type=int, metavar="N", help="processes of one machine that share the work (default: 1)"
    )
    group.add_argument("--device", choices=get_args(Device), help="of the worker's machine (default: cpu)")
    if not trains:
        return
    group.add_argument(
        "--engine",
        choices=get_args(Backend),
        help="default: deepspeed for ZeRO, else torch",
    )
    group.add_argument(
        "--zero-stage",
        type=int,
        choices=ZERO_STAGES,
        help="what DeepSpeed divides among processes (default: 0)",
    )


def asked_processes(options: Mapping[str, Any]) -> int:
    return 1 if options["processes"] is None else int(options["processes"])


def execution_assignments(options: Mapping[str, Any], *sections: str) -> list[str]:
    """The arguments as `--set` assignments to these sections of a configuration; what --set says itself comes later."""
    values = runtime_values(options)
    return [f"{section}.{name}={value}" for section in sections for name, value in values.items()]


class ExecutionFields(forms.Form):
    """The same as fields of a form; what is left empty is as the preset says."""

    processes = forms.IntegerField(
        min_value=1,
        max_value=MAX_PROCESSES,
        required=False,
        help_text=gettext_lazy("Of one machine, for every stage of the round."),
        label=gettext_lazy("Processes"),
    )
    device = forms.ChoiceField(
        choices=[("", gettext_lazy("as the preset")), *DEVICE_LABELS.items()],
        required=False,
        help_text=gettext_lazy(
            "Of the worker's machine. A run that asks for a GPU ends with a sentence where there is none."
        ),
        label=gettext_lazy("Device"),
    )
    engine = forms.ChoiceField(
        choices=[("", gettext_lazy("DeepSpeed for ZeRO, else as the preset")), *ENGINE_LABELS.items()],
        required=False,
        label=gettext_lazy("Engine"),
    )
    zero_stage = forms.TypedChoiceField(
        choices=[("", gettext_lazy("as the preset")), *((stage, str(stage)) for stage in ZERO_STAGES)],
        coerce=int,
        empty_value=None,
        required=False,
        label=gettext_lazy("ZeRO stage"),
        help_text=gettext_lazy(
            "What DeepSpeed divides among the processes: 1 optimizer, 2 and gradients, 3 and weights."
        ),
    )


def describe_execution(processes: int, runtime: Mapping[str, Any]) -> str:
    """For example “2 processes, GPU, DeepSpeed ZeRO 2”."""
    device, engine = runtime.get("device", "cpu"), runtime.get("backend", "torch")
    stage = runtime.get("zero_stage", 0)
    parts = [
        ngettext("%(n)d process", "%(n)d processes", processes) % {"n": processes},
        str(DEVICE_LABELS.get(device, device)),
        ENGINE_LABELS.get(engine, str(engine)) + (f" ZeRO {stage}" if stage else ""),
    ]
    return ", ".join(parts)


def execution_of(run: Run) -> str:
    """The same of a run, as it was asked for."""
    runtime = run.config.get("runtime")
    return describe_execution(run.processes, runtime if isinstance(runtime, Mapping) else {})
