import pytest

from annotation.conversation import generation
from annotation.conversation.actions import start_conversation
from tests.annotation.conversation.live import SteeredGenerator, make_live_batch


@pytest.fixture
def writer():
    """Who writes the answers, as the test says."""
    before = list(generation._in_use)
    steered = SteeredGenerator()
    generation.use_generator(steered)
    yield steered
    generation._in_use[:] = before


@pytest.fixture
def live(project, criterion, max_, writer):
    return make_live_batch(
        project,
        max_,
        instruction="Ask for something to cook.",
        openers=["What can I cook with rice?"],
        max_turns=3,
    ).live


@pytest.fixture
def talk(live, ada):
    return start_conversation(actor=ada, live=live)
