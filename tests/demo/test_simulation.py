"""Simulated annotators judge what is open, all of it at once if asked."""

import json

import pytest

from annotation.importing.tasks.actions import import_tasks
from annotation.models import Judgment
from demo.grammar import FLAVOURS, FOODS
from demo.simulation import simulate_judgments
from workspace.members import set_role

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_two_hundred_and_sixty_tasks_of_four_answers_are_judged_in_one_go(
    project, criterion, max_, make_user, tmp_path
):
    asks = f"{FOODS[0]} with {FLAVOURS[0]}"
    rows = [{"prompt": f"{asks} for {n}?", "responses": [f"{n}.{k}" for k in range(4)]} for n in range(260)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    batch, _ = import_tasks(actor=max_, project=project, path=path, overlap=1, open_at_once=True)
    simulated = make_user("sim")
    set_role(actor=max_, project=project, user=simulated, role="annotator")
    common = {"actor": max_, "batch": batch, "annotators": [simulated], "seed": 0}
    assert simulate_judgments(**common, limit=250) == 250
    assert simulate_judgments(**common, limit=250) == 10
    assert (Judgment.objects.count(), simulate_judgments(**common, limit=250)) == (260, 0)
