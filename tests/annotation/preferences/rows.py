"""Rows of judgments for the tests of comparisons."""

from annotation.preferences.weak_orders import ranks_to_tiers
from learning.interface.record_checks import validate_row
from learning.interface.record_schemas import COMPARISONS


def judgment_row(ranks, strengths, *, annotator="ada", task="t1", number=0, **changes):
    ids = [f"{task}-r{index}" for index in range(len(ranks))]
    row = {
        "judgment_id": f"{task}-{annotator}-{number}", "supersedes": None, "is_current": True, "withdrawn": False,
        "surplus": False, "project": "kitchen", "batch": "b", "round": 2, "criterion": "helpful", "purpose": "normal",
        "task_id": task, "prompt_id": "p", "prompt": [{"role": "user", "content": "Hi"}],
        "responses": [{"response_id": i, "text": f"text of {i}"} for i in ids], "order_shown": ids,
        "tiers": [[ids[item] for item in tier] for tier in ranks_to_tiers(ranks)], "strengths": strengths,
        "annotator": annotator, "annotator_kind": "person", "rationale": "", "flags": [], "split": "train",
    }  # fmt: skip
    return row | changes


def only_comparison(rows):
    (row,) = rows
    validate_row(row, COMPARISONS, lambda: "row")
    return row
