"""A part of a page that polls gets what has changed, and nothing when nothing has."""

import pytest
from django.test import RequestFactory

from workspace.polling import content_fingerprint, poll_response

TEMPLATE = "runs/run_log.html"


def test_a_fingerprint_changes_with_what_is_shown_and_with_nothing_else():
    assert content_fingerprint("a", 1) == content_fingerprint("a", 1)
    assert content_fingerprint("a", 1) != content_fingerprint("a", 2)
    assert content_fingerprint("a", "b") != content_fingerprint("ab")


@pytest.mark.parametrize(
    ("shown", "is_final", "status"),
    [("v1", False, 204), ("v1", True, 204), ("", False, 200), ("v0", True, 286)],
)
def test_the_part_comes_only_in_a_version_that_is_not_shown_yet(shown, is_final, status):
    request = RequestFactory().get("/", {"version": shown} if shown else {})
    response = poll_response(request, TEMPLATE, {"log": "step 7"}, version="v1", is_final=is_final)
    assert response.status_code == status
    assert (b"step 7" in response.content) == (status != 204)
