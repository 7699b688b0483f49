"""Two reviewers at once, each with a database connection of their own."""

import pytest
from django.db import transaction

from annotation.errors import InvalidWriting
from annotation.models import Prompt, WritingReview
from annotation.writing.checking import review_text
from tests.other_connection import in_another_connection, until_it_waits

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


def test_of_two_equal_prompts_accepted_at_once_one_is_told_that_it_is_there(prompts, ada, ruth, max_, send):
    first, second = (send(writer, prompts, "Which rice is best?") for writer in (ada, ruth))
    with transaction.atomic():
        review_text(actor=max_, version=first, outcome="accept")
        thread, found = in_another_connection(
            lambda: review_text(actor=ada, version=second, outcome="accept")
        )
        until_it_waits(thread)
    thread.join(150)
    assert isinstance(found[0], InvalidWriting) and found[0].code == "prompt_known"
    assert WritingReview.objects.get().version == first
    assert Prompt.objects.get(messages__0__content="Which rice is best?").author == ada
