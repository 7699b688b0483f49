"""Comparisons in our own records, which name responses, prompts and annotators."""

import copy

import pytest

from annotation.importing.report import ImportRefused
from annotation.models import Judgment, Response
from tests.annotation.importing.conftest import PAIR, everything
from tests.annotation.importing.readers.conftest import COMPARISON, JUDGMENT
from workspace.models import User

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def record(number, **fields):
    """One of our own judgments, about responses of its own."""
    own = copy.deepcopy(JUDGMENT) | {"judgment_id": str(number), "prompt_id": f"p{number}"}
    for response in own["responses"]:
        response["response_id"] += str(number)
    own["tiers"] = [[f"y{number}"], [f"x{number}", f"z{number}"]]
    own["order_shown"] = [f"{name}{number}" for name in "zxy"]
    return own | fields


def test_what_our_records_say_of_responses_is_kept(bring):
    batch, _ = bring([record(1)], "records")
    judgment = Judgment.objects.in_batch(batch).get()
    names = dict(Response.objects.values_list("pk", "external_id"))
    assert [names[key] for key in judgment.order_shown] == ["z1", "x1", "y1"]
    assert Response.objects.get(external_id="x1").sampling == {"temperature": 1.0}
    bring([COMPARISON | {"prompt": [{"role": "user", "content": "Who?"}]}], "records")
    assert set(Response.objects.filter(prompt__messages__0__content="Who?").values_list("external_id", flat=True)) == {
        "x", "y", "z",
    }  # fmt: skip


def test_a_response_answers_one_prompt(bring):
    """Two prompts of the same words are two prompts."""
    other = record(2, responses=record(1)["responses"], tiers=record(1)["tiers"], order_shown=None)
    before = everything()
    with pytest.raises(ImportRefused, match="line 2, column response_id: x1 had another content on line 1"):
        bring([record(1), other], "records")
    assert everything() == before
    bring([record(1)], "records")
    before = everything()
    with pytest.raises(
        ImportRefused, match="line 1, column response_id: x1 belongs to another content in this"
    ):
        bring([other], "records")
    assert everything() == before


def test_responses_are_found_again_from_rows_that_do_not_name_their_prompt(bring):
    bring([record(1)], "records")
    ids = ["x1", "y1", "z1"]
    with pytest.raises(ImportRefused, match="1 of 1 judgment is in the batch"):
        bring([COMPARISON | {"response_ids": ids}], "records")
    bring([COMPARISON | {"response_ids": ids}], "records", again=True)
    assert Response.objects.count() == 3
    bring([record(2)], "records")  # a second prompt of the same words: the rows mean the first
    with pytest.raises(ImportRefused, match="line 1, column response_id: x2 belongs to another content"):
        bring([COMPARISON | {"group_id": "g2", "response_ids": ["x2", "y2", "z2"]}], "records")


def test_records_that_were_imported_before_are_left_out_and_new_ones_are_not(bring):
    bring([record(1), record(2)], "records", name="first.jsonl")
    before = everything()
    with pytest.raises(ImportRefused, match="2 of 2 judgments are in the batch “first.jsonl” already"):
        bring([record(2), record(1)], "records")
    assert everything() == before
    _, report = bring([record(2), record(3)], "records")
    assert (report.bad, report.counts["judgments"]) == (0, 1)
    assert report.notes == [
        "1 of 2 judgments is in the batch “first.jsonl” already and left out; --again imports them once more."
    ]
    # Another installation counts from 1 too.
    bring([record(1, annotator="annotator-of-theirs", prompt_id=None, order_shown=None) | {
        "responses": [response | {"response_id": f"w{place}"} for place, response in enumerate(record(1)["responses"])],
        "tiers": [["w0"], ["w1", "w2"]],
    }], "records")  # fmt: skip
    assert Judgment.objects.in_visible_batches().count() == 4


def test_two_names_of_the_same_user_judge_two_copies_of_the_task(project, bring):
    batch, report = bring([PAIR, PAIR | {"annotator": f"import-{project.slug}"}])
    assert report.counts == {"judgments": 2, "tasks": 2, "annotators": 1}
    assert Judgment.objects.in_batch(batch).counted().count() == 2
    both = [PAIR | {"annotator": "kim"}, record(1, annotator="kim", annotator_kind="ai")]
    bring(both[:1])
    bring(both[1:], "records", project_splits=True)
    assert set(User.objects.filter(pseudonym__startswith="kim").values_list("kind", flat=True)) == {
        "person",
        "ai",
    }
