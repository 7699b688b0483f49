import pytest

from demo.grammar import WriterProfile


@pytest.fixture
def ideal_writer() -> WriterProfile:
    """A writer who does everything right."""
    return WriterProfile(
        on_topic=1.0,
        says_instead=1.0,
        right_flavour=1.0,
        polite=1.0,
        rude=0.0,
        reason=1.0,
        tip=1.0,
        wish=1.0,
        opening_filler=0.0,
        closing_filler=0.0,
    )
