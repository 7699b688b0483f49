"""Quality, decisions and returned judgments by program: what pages do, with the same answers."""

import json

import pytest

from annotation.models import Judgment
from annotation.quality.actions import measure_project
from tests.annotation.quality.conftest import judged  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def call(client, project):
    def call(person, method, address, body=None, status=200):
        client.force_login(person)
        answer = client.generic(
            method, f"/api/v1/projects/{project.slug}/{address}", json.dumps(body), "application/json"
        )
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None

    return call


def test_what_was_measured_is_read_by_program(call, project, max_, ruth, judged):  # noqa: F811
    _, tasks, one, _ = judged
    assert call(ruth, "GET", "quality", status=404)["code"] == "not_found"
    measure_project(actor=max_, project=project)
    found = call(ruth, "GET", "quality")
    assert found["judgments"] == 12 and found["agreement"][0]["figures"]["estimates"]["same"][
        0
    ] == pytest.approx(4 / 6)
    [row] = call(ruth, "GET", f"quality/annotators?annotator={one.pseudonym}")["results"]
    assert row["judgments"] == 6 and row["figures"]["others"][0] == pytest.approx(4 / 6)
    rows = call(ruth, "GET", "quality/tasks?order=certainty&undecided=true")["results"]
    assert rows[0]["task"] == tasks[5].pk and rows[0]["certainty"] < 0.1
    assert [row["certainty"] for row in rows] == sorted(row["certainty"] for row in rows)
    assert len(call(ruth, "GET", "quality/tasks")["results"]) == 6
    sources = call(max_, "GET", "quality/leaderboard")["sources"]
    assert sum(row["won"] - row["lost"] for row in sources) == 0
    assert call(max_, "POST", "quality/measure", status=201)["kind"] == "measure_quality"
    assert call(max_, "POST", "quality/ask-one-more", {"most": 3}) == {"tasks": 2}


def test_a_reviewer_decides_by_program_and_overwrites_nobody(call, project, max_, ruth, judged):  # noqa: F811
    _, tasks, one, _ = judged
    measure_project(actor=max_, project=project)
    address = f"tasks/{tasks[5].pk}/decision"
    seen = call(ruth, "GET", address)
    assert (
        sorted(seen["answers"]) == ["A", "B"]
        and seen["decision"] is None
        and seen["consensus"]["annotators"] == 2
    )
    assert [row["tiers"] for row in seen["judgments"]] in (
        [[["A"], ["B"]], [["B"], ["A"]]],
        [[["B"], ["A"]], [["A"], ["B"]]],
    )
    assert one.pseudonym not in json.dumps(seen)
    decision = {"tiers": [["B"], ["A"]], "strengths": [2], "kind": "slip", "rationale": "It is wrong."}
    assert call(ruth, "POST", address, decision | {"tiers": [["B"]]}, 400)["fields"]["tiers"]
    made = call(ruth, "POST", address, decision, 201)
    text_of = dict(tasks[5].task_responses.values_list("response_id", "response__text"))
    stored = Judgment.objects.get(task__decides=made["id"])
    assert [text_of[key] for tier in stored.tiers for key in tier] == [
        seen["answers"]["B"],
        seen["answers"]["A"],
    ]
    call(max_, "POST", address, decision, 409)
    again = call(max_, "POST", address, decision | {"expected": made["id"], "kind": "style"}, 201)
    assert again["supersedes"] == made["id"]
    assert [row["id"] for row in call(ruth, "GET", "decisions")["results"]] == [again["id"]]


def test_a_judgment_goes_back_and_its_author_stands_by_it(call, ruth, judged):  # noqa: F811
    _, tasks, one, other = judged
    judgment = Judgment.objects.get(task=tasks[5], annotator=one)
    made = call(ruth, "POST", f"judgments/{judgment.pk}/return", {"remark": "Read the second again."}, 201)
    [row] = call(one, "GET", "returned-judgments/own")["results"]
    assert row["remark"] == "Read the second again." and row["assignment"] == str(
        judgment.assignment.public_id
    )
    assert call(other, "GET", "returned-judgments/own")["results"] == []
    call(other, "POST", f"returned-judgments/{made['id']}/keep", {}, 404)
    call(one, "POST", f"returned-judgments/{made['id']}/keep", {"reason": "It is right."})
    assert call(one, "GET", "returned-judgments/own")["results"] == []
    [row] = call(ruth, "GET", "returned-judgments")["results"]
    assert row["reason"] == "It is right." and row["kept_at"]
