"""Options as fields: what pages say of them is what stands beside them in the source."""

import dataclasses
from typing import Literal

import pytest

from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource
from policy_training.forms import FineTuneForm
from policy_training.training.supervised import presets as supervised_presets
from rewardmodel.forms import TrainRewardModelForm
from rewardmodel.training import presets as reward_presets
from runs.option_forms.comments import field_comments, preset_comments
from runs.option_forms.fields import as_text, assignment, path_in, sections_of, value_at
from workspace.config_overrides import apply_overrides


@dataclasses.dataclass(frozen=True)
class Inner:
    """Only this is said of all."""

    rate: float = 0.5  # of something
    # Two lines above
    # the field.
    steps: int | None = None
    kind: Literal["a", "b"] = "a"
    sure: bool = False
    parts: tuple[float, ...] = (1.0, 0.5)
    path: str | None = None


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner = dataclasses.field(default_factory=Inner)
    preset: str = ""


def test_options_have_their_comments_and_choices_and_no_page_asks_for_a_path_of_the_server():
    [section] = sections_of(Outer)
    assert (section.path, section.label, section.note) == ("inner", "Inner", "Only this is said of all.")
    found = {option.path: option for option in section.options}
    assert list(found) == ["inner.rate", "inner.steps", "inner.kind", "inner.sure", "inner.parts"]
    assert found["inner.rate"].help == "Of something"
    assert found["inner.steps"].help == "Two lines above the field." and found["inner.steps"].may_be_empty
    assert found["inner.kind"].choices == ("a", "b") and found["inner.sure"].choices == (True, False)
    assert found["inner.parts"].is_list and field_comments(Outer) == {}
    for form in (FineTuneForm, TrainRewardModelForm):
        names = {option.path.rpartition(".")[2] for part in form.sections for option in part.options}
        assert not names & {"path", "hub_id", "revision", "model_path", "reward_model_path"}


def test_what_a_field_shows_is_read_again_as_the_same_value():
    [section] = sections_of(Outer)
    config = options_to_dict(Outer())
    for option in section.options:
        text = as_text(value_at(config, option.path))
        assert apply_overrides({}, [assignment(option, text)]) == {
            "inner": {option.path.partition(".")[2]: config["inner"][option.path.partition(".")[2]]}
        }
    parts = next(option for option in section.options if option.is_list)
    assert assignment(parts, " 0.7 1, 1.3") == "inner.parts=[0.7, 1, 1.3]"


def test_a_refusal_is_shown_at_its_option():
    paths = {"data.steps", "data.epochs", "sampling.temperatures"}
    assert path_in("config.data.steps: expected a whole number, found 'x' (str)", paths) == "data.steps"
    assert path_in("config.data: epochs must be positive, found 0", paths) == "data.epochs"
    assert path_in("config.sampling.temperatures[1]: expected a number", paths) == "sampling.temperatures"
    assert path_in("The project has no texts to train on.", paths) is None


# By hand from the papers: Llama 2 section 3.1; InstructGPT C.1 and C.2; Secrets of RLHF I 4.2.
@pytest.mark.parametrize(
    ("module", "preset", "path", "value", "source"),
    [
        (supervised_presets, "sft_llama2", "optimizer.learning_rate", 2e-5, "3.1"),
        (supervised_presets, "sft_instructgpt", "model.dropout", 0.2, "C.1: residual dropout"),
        (reward_presets, "instructgpt", "data.comparisons_per_step", 64, "C.2: 64 prompts"),
        (reward_presets, "secrets", "data.steps", 1000, "4.2: steps are fixed"),
    ],
)
def test_a_value_of_a_preset_has_its_source(module, preset, path, value, source):
    known = {**supervised_presets.LANGUAGE_MODEL_PRESETS, **reward_presets.PRESETS}
    config = options_to_dict(known[preset].config(ModelSource(path="x")))
    assert value_at(config, path) == value
    assert preset_comments(module)[preset][path].startswith(source)


@pytest.mark.parametrize("form", [FineTuneForm, TrainRewardModelForm])
def test_every_value_that_a_preset_gives_has_a_source(form):
    """What differs from the options' own defaults was chosen by somebody."""
    paths = [option.path for section in form.sections for option in section.options]
    plain = form.presets["tiny"].config()
    defaults = {path: default for path, default in _defaults(form) if path in paths}
    missing = [
        (name, path)
        for name, preset in form.presets.items()
        for path in paths
        if path in defaults
        and value_at(preset.config(), path) != defaults[path]
        and path not in preset.comments
    ]
    assert missing == [] and value_at(plain, "optimizer.learning_rate") is not None


def _defaults(form):
    """(path, default) of every option whose class has one."""
    from policy_training.training.config import LanguageModelConfig
    from rewardmodel.training.config import RewardModelConfig

    def walk(cls, prefix):
        import typing

        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            if dataclasses.is_dataclass(hints[field.name]):
                yield from walk(hints[field.name], f"{prefix}{field.name}.")
            elif field.default is not dataclasses.MISSING:
                default = field.default  # as a stored config has it
                yield prefix + field.name, list(default) if isinstance(default, tuple) else default

    return walk(LanguageModelConfig if form is FineTuneForm else RewardModelConfig, "")
