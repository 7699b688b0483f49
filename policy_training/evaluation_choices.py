"""The presets of answers to measure or to judge, as the forms that ask for such answers offer them."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from policy_training import evaluation_presets
from policy_training.evaluation_presets import EVALUATION_PRESETS
from runs.option_forms.comments import preset_comments
from runs.option_forms.forms import PresetChoice


def evaluation_choices(
    config: Callable[..., Mapping[str, Any]], moved: Mapping[str, str] = MappingProxyType({})
) -> Mapping[str, PresetChoice]:
    """`config` takes the preset's name. `moved`: where that configuration has what the preset has elsewhere."""
    comments = preset_comments(evaluation_presets)
    return {
        name: PresetChoice(
            name=name,
            source=preset.source,
            config=partial(config, preset=name),
            comments={moved.get(path, path): text for path, text in comments.get(name, {}).items()},
        )
        for name, preset in EVALUATION_PRESETS.items()
    }
