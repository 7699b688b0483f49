"""What a manager corrects of a project: by version, so that two at once do not overwrite each other."""

import pytest

from workspace import actions
from workspace.errors import ActionError, StaleVersion
from workspace.project_settings import correct_project

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_what_is_given_is_corrected_the_address_stays_and_the_trail_says_what_was(project, max_):
    now = correct_project(actor=max_, project=project, name="Great kitchen", overlap=3, lease_minutes=30)
    assert (now.name, now.slug, now.overlap, now.lease_minutes, now.version) == (
        "Great kitchen", "kitchen", 3, 30, 2,
    )  # fmt: skip
    event = project.audit_events.latest("pk")
    assert (event.action, event.details) == (
        "project.correct",
        {"before": {"name": "Kitchen", "overlap": 1}, "now": {"name": "Great kitchen", "overlap": 3}},
    )
    # The same again is no correction.
    assert correct_project(actor=max_, project=project, overlap=3).version == 2
    assert project.audit_events.latest("pk") == event


def test_a_correction_that_rests_on_an_older_version_is_refused(project, max_):
    correct_project(actor=max_, project=project, name="Mine", expected_version=1)
    with pytest.raises(StaleVersion) as refused:
        correct_project(actor=max_, project=project, name="Yours", expected_version=1)
    project.refresh_from_db()
    assert (refused.value.current, project.name) == (2, "Mine")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "!?"),
        ("name", ""),
        ("name", "x" * 121),
        ("overlap", 0),
        ("overlap", 51),
        ("lease_minutes", 1441),
    ],
)
def test_what_does_not_fit_is_said_of_its_field_and_nothing_changes(project, max_, field, value):
    with pytest.raises(ActionError) as refused:
        correct_project(actor=max_, project=project, description="New.", **{field: value})
    project.refresh_from_db()
    assert list(refused.value.fields) == [field]
    assert (project.description, project.version) == ("", 1)


def test_a_corrected_question_is_a_new_version_and_the_old_one_keeps_its_own(project, max_):
    of = {"actor": max_, "project": project}
    actions.add_criterion(**of, name="harmless", question="Which harms less?")
    changed = actions.change_question_settings(
        **of, allow_ties=True, ask_rationale=False, questions={"helpful": "Which helps more?"}
    )
    # A criterion that comes later is asked of under the version in force, and no version gets a question it never had.
    actions.add_criterion(**of, name="kind", question="Which is kinder?")
    asked = dict(project.question_settings.values_list("version", "questions"))
    assert asked == {
        1: {"helpful": "Which answer is more helpful?", "harmless": "Which harms less?"},
        2: {"helpful": "Which helps more?", "harmless": "Which harms less?", "kind": "Which is kinder?"},
    }
    assert changed.created_by == max_
    assert project.criteria.get(name="helpful").question == "Which helps more?"


@pytest.mark.parametrize("questions", [{"helpful": "  "}, {"helpful": "x" * 301}, {"salty": "Which?"}])
def test_an_unfit_question_changes_nothing(project, max_, questions):
    with pytest.raises(ActionError):
        actions.change_question_settings(
            actor=max_, project=project, allow_ties=False, ask_rationale=True, questions=questions
        )
    assert project.question_settings.count() == 1
    assert project.criteria.get().question == "Which answer is more helpful?"


def test_a_program_corrects_a_project_and_is_refused_when_it_rests_on_an_older_one(program, project, max_):
    call = program(max_)
    changed = call("PATCH", "projects/kitchen", {"name": "Pantry", "overlap": 2, "expected_version": 1})
    assert changed.status_code == 200
    assert {name: changed.json()[name] for name in ("name", "slug", "overlap", "version")} == {
        "name": "Pantry", "slug": "kitchen", "overlap": 2, "version": 2,
    }  # fmt: skip
    stale = call("PATCH", "projects/kitchen", {"name": "Larder", "expected_version": 1})
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_version")
    body = {"allow_ties": True, "ask_rationale": False, "questions": {"helpful": "Which helps?"}}
    assert call("POST", "projects/kitchen/question-settings", body).json()["questions"] == {
        "helpful": "Which helps?"
    }
