"""What programs ask of the forms that start runs: the same fields, the options by their paths."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from learning.interface.training_options import MAX_PROCESSES
from runs.api.views import OneRunSerializer
from runs.option_forms.fields import as_text, value_at
from runs.option_forms.forms import SHOWN, PresetForm
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body
from workspace.api.fields import JsonValue


class RunBody(Body):
    processes = serializers.IntegerField(min_value=1, max_value=MAX_PROCESSES, default=1)
    settings = serializers.DictField(
        child=JsonValue(allow_null=True),
        default=dict,
        help_text='What is to be otherwise than the preset has it, by its path: {"data.steps": 400}.',
    )


class RunsSerializer(serializers.Serializer[Any]):
    runs = OneRunSerializer(many=True)


class PresetSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    settings = JsonValue(help_text="Path -> {value, source}; what has no source is the options' default.")


class PresetsSerializer(serializers.Serializer[Any]):
    presets = PresetSerializer(many=True)


def presets_of(form_class: type[PresetForm]) -> dict[str, Any]:
    """For PresetsSerializer."""
    paths = [option.path for section in form_class.sections for option in section.options]
    presets = []
    for preset in form_class.presets.values():
        config = preset.config()
        settings = {
            path: {"value": value_at(config, path), "source": preset.comments.get(path, "")} for path in paths
        }
        presets.append({"name": preset.name, "source": preset.source, "settings": settings})
    return {"presets": presets}


def asked_by_program(
    view: ProjectApiView, form_class: type[PresetForm], data: Mapping[str, Any]
) -> dict[str, Any]:
    """What the form asks for these values. Raises ValidationError, ActionError."""
    values = dict(data)
    settings = values.pop("settings")
    known = {option.path for section in form_class.sections for option in section.options}
    if unknown := [path for path in settings if path not in known]:
        raise ValidationError({"settings": [f"There is no setting {unknown[0]} here."]})
    values.setdefault("preset", form_class.initial_preset)
    values = {name: value for name, value in values.items() if value is not None}
    settings = {path: as_text(value) for path, value in settings.items()}
    form = form_class(values | settings | {SHOWN: values["preset"]}, project=view.project)
    if not form.is_valid():
        raise ValidationError({name: list(map(str, faults)) for name, faults in form.errors.items()})
    asked: dict[str, Any] = form.asked()  # type: ignore[attr-defined]
    return {"actor": view.actor, **asked}
