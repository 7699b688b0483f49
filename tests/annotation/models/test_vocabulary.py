"""The choices of the models are the words of the record files."""

import pytest

from annotation.models import Prompt, Source
from learning.interface import vocabulary
from workspace.models import User


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        (Prompt.Split, vocabulary.SPLITS),
        (Prompt.Kind, vocabulary.PROMPT_KINDS),
        (Source.Kind, vocabulary.SOURCE_KINDS),
        (User.Kind, vocabulary.ANNOTATOR_KINDS),
    ],
)
def test_choices_are_the_vocabulary(choices, words):
    assert tuple(choices.values) == words
