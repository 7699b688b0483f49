"""Which options of policy training are refused, and that one class says how responses are drawn."""

import dataclasses
import math

import pytest

from policy_training.training.config import DecodingOptions, SampleOptions, SamplingOptions


@pytest.mark.parametrize("options", [SampleOptions, SamplingOptions])
@pytest.mark.parametrize(
    ("name", "value"),
    [("top_p", 0.0), ("top_p", 1.1), ("top_k", -1), ("repetition_penalty", 0.0), ("batch_size", 0)],
)
def test_decoding_options_are_checked_wherever_they_come_from(options, name, value):
    with pytest.raises(ValueError, match=name):
        options(**{name: value})


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_is_a_positive_number_everywhere(temperature):
    for build in (
        lambda: SamplingOptions(temperature=temperature),
        lambda: SampleOptions(temperatures=(1.0, temperature)),
        lambda: SampleOptions().at(temperature),
    ):
        with pytest.raises(ValueError, match="temperature must be a positive number"):
            build()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"temperatures": ()}, "one or more"),
        ({"temperatures": (0.7, 0.7)}, "differ from each other"),
        ({"max_prompt_tokens": 0}, "max_prompt_tokens must be at least 1"),
        ({"max_response_tokens": 0}, "max_response_tokens must be at least 1"),
    ],
)
def test_sample_options_that_make_no_sense_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        SampleOptions(**changes)


def test_every_temperature_is_sampled_with_the_same_other_options():
    options = SampleOptions(temperatures=(0.5, 1.5), top_p=0.9, top_k=7, repetition_penalty=1.2, batch_size=3)
    for temperature in options.temperatures:
        sampling = options.at(temperature)
        assert sampling.temperature == temperature
        for option in dataclasses.fields(DecodingOptions):
            assert getattr(sampling, option.name) == getattr(options, option.name), option.name
