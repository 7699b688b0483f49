import json

import pytest
from django.core.management import call_command

from annotation.models import Judgment, Response
from rounds.stages.scoring import judgments_to_compare, responses_to_score
from tests.rounds.annotating import at_annotation, judge_elsewhere, judge_next

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


def test_a_round_scores_what_its_page_shows_and_not_the_whole_project(
    begin, finish_round, criterion, project, max_, ada, tmp_path
):
    """A project that began with an import of 30 pairs, a round of 3, and one of 2."""
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"Why {n}?", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(30)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    call_command("import_comparisons", "kitchen", str(pairs), "--format", "trl", verbosity=0)
    first = begin()
    judge_elsewhere(first, criterion, max_, ada, count=2)  # judged here, outside of any round
    at_annotation(first, criterion, max_, pairs=3)
    for _ in range(3):
        judge_next(ada, project)
    assert Response.objects.count() == 60 + 4 + 6
    assert len(responses_to_score(first)) == 4 + 6
    assert judgments_to_compare(first).count() == 2 + 3

    finish_round(first)
    second = begin()
    at_annotation(second, criterion, max_, pairs=2)
    judge_next(ada, project)
    assert (Response.objects.count(), Judgment.objects.count()) == (74, 30 + 2 + 3 + 1)
    assert {response.pk for response in responses_to_score(second)} == set(
        Response.objects.filter(task_responses__task__batch=second.batch).values_list("pk", flat=True)
    )
    assert len(responses_to_score(second)) == 4 and judgments_to_compare(second).count() == 1
