"""A client whose site is a function."""

import httpx
import pytest

from roundtable.client import Client


@pytest.fixture
def sleeps():
    """How long the client slept, one after the other."""
    return []


@pytest.fixture
def make_client(sleeps):
    """A client of a site that answers as the function, a request to its answer, says."""

    def make(answer, **options):
        return Client(
            "https://desk.example.org",
            "rt_secret",
            http=httpx.MockTransport(answer),
            sleep=sleeps.append,
            **options,
        )

    return make
