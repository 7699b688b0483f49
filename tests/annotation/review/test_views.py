"""What reviewers read of a judgment that came from a file."""

import json

import pytest
from django.urls import reverse

from annotation.importing.actions import import_comparisons
from annotation.models import Judgment

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def text_of(client, max_, project, tmp_path):
    """Imports rows; returns the text of the batch's page and of its first judgment's."""
    client.force_login(max_)

    def text_of(rows, format, name):
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, rows)))
        batch, _ = import_comparisons(actor=max_, project=project, path=path, format=format)
        judgment = Judgment.objects.in_batch(batch).earliest("pk")
        addresses = (
            reverse("annotation:batch", args=[project.slug, batch.pk]),
            reverse("annotation:judgment", args=[project.slug, batch.pk, judgment.pk]),
        )
        return [client.get(address).content.decode() for address in addresses]

    return text_of


def test_a_comparison_without_a_strength_is_better_and_from_its_file(text_of):
    pair = {"prompt": "Why?", "chosen": "good", "rejected": "bad"}
    batch, judgment = text_of([pair], "trl", "comparisons.jsonl")
    assert "A is better than B (no strength given), from comparisons.jsonl" in batch
    assert "better than (no strength given)" in judgment and "from comparisons.jsonl" in judgment
    assert "barely" not in batch + judgment  # nobody said so
    assert "imported-" not in batch + judgment  # the name of an account says nothing to anybody


def test_a_ranking_is_shown_by_ranks_with_the_steps_between_them(text_of):
    row = {
        "prompt": "Why?",
        "responses": ["x", "y", "z"],
        "ranks": [0, 1, 2],
        "strengths": [3, 0],
        "annotator": "w1",
    }
    batch, judgment = text_of([row], "ranked", "ranked.jsonl")
    assert "1. A (much better than) 2. B (barely better than) 3. C, from ranked.jsonl" in batch
    assert "w1" in batch and "barely better than (or unsure)" in judgment
