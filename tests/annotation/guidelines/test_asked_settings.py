"""The page of what is asked: it gives back what is there, a change is a new version, faults stand at their field."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.annotator.presenter import PAGE_VERSION
from workspace.actions import change_question_settings, create_project
from workspace.asked import Asked
from workspace.question_presets import PRESETS

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def page(project):
    return reverse("annotation:asked_settings", kwargs={"slug": project.slug})


@pytest.fixture
def manager(client, max_):
    client.force_login(max_)
    return client


def as_posted(answer):
    """What a browser would send of the page without a change."""
    form, marks = answer.context["form"], answer.context["marks"]
    fields = [*form, *marks.management_form, *(field for row in marks for field in row)]
    data = {}
    for field in fields:
        value = field.value()
        if value is not None and value is not False and value != "":
            data[field.html_name] = "on" if value is True else value
    return data


def newest(project):
    return project.question_settings.order_by("-version").first()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_taken_and_the_page_gives_it_back_as_it_is(manager, page, project, name):
    assert manager.post(page, {"preset": name, "version": 1}).status_code == 302
    taken = newest(project)
    assert (taken.version, taken.asks, taken.allow_ties) == (
        2, PRESETS[name].asked, PRESETS[name].allow_ties,
    )  # fmt: skip
    assert {name for name, _ in PRESETS[name].criteria} <= set(
        project.criteria.values_list("name", flat=True)
    )
    assert manager.post(page, as_posted(manager.get(page))).status_code == 302
    assert (newest(project).version, newest(project).asks) == (3, PRESETS[name].asked)
    assert newest(project).allow_ties == PRESETS[name].allow_ties


def test_marks_flags_and_reasons_are_written_as_people_say_them(manager, page, project):
    data = as_posted(manager.get(page)) | {
        "marks-0-label": "Overall quality", "marks-0-kind": "likert", "marks-0-points": 7, "marks-0-low": "poor",
        "marks-0-required": "on", "marks-1-label": "Tone", "marks-1-kind": "choice",
        "marks-1-choices": "warm\r\n\r\ncold\r\n", "confidence_points": 9, "rationale_for": ["tie"],
        "flags": "unsafe = Something is harmful\r\nIn the wrong language", "cannot_judge": "",
    }  # fmt: skip
    assert manager.post(page, data).status_code == 302
    asked = newest(project).asks
    assert [(m.name, m.kind, m.points, m.low, m.required, m.choices) for m in asked.marks] == [
        ("overall_quality", "likert", 7, "poor", True, ()), ("tone", "choice", 0, "", False, ("warm", "cold")),
    ]  # fmt: skip
    assert [(flag.name, flag.label) for flag in asked.flags] == [
        ("unsafe", "Something is harmful"), ("in_the_wrong_language", "In the wrong language"),
    ]  # fmt: skip
    assert (asked.confidence_points, asked.rationale_for, asked.cannot_judge) == (9, ("tie",), ())
    versions = manager.get(reverse("annotation:guideline_versions", args=[project.slug])).content.decode()
    for words in ("Overall quality (points on a scale, required)", "How sure: 9 points", "of: a tie"):
        assert words in versions
    # Taken out again: the name of the other stays.
    data = as_posted(manager.get(page)) | {"marks-0-remove": "on", "marks-1-label": "Voice"}
    assert manager.post(page, data).status_code == 302
    assert [(mark.name, mark.label) for mark in newest(project).asks.marks] == [("tone", "Voice")]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"marks-0-label": "Quality", "marks-0-kind": "likert"}, "Give 2 to 10 points."),
        (
            {"marks-0-label": "Tone", "marks-0-kind": "choice", "marks-0-choices": "one"},
            "Give 2 to 10 different",
        ),
        ({"confidence_points": 12}, "Give 0, or 2 to 10 points."),
        ({"flags": "Bad Name = x"}, "Line 1: A name is 1 to 40 small Latin letters"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field_and_nothing_is_lost(manager, page, project, changes, words):
    answer = manager.post(page, as_posted(manager.get(page)) | changes)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert newest(project).version == 1
    for name, value in changes.items():
        assert str(value).encode() in answer.content, name


def test_a_form_based_on_an_outdated_version_is_shown_again(manager, page, project, max_):
    data = as_posted(manager.get(page)) | {"confidence_points": 5}
    change_question_settings(
        actor=max_, project=project, allow_ties=False, ask_rationale=True, asked={"confidence_points": 9}
    )
    answer = manager.post(page, data)
    assert (answer.status_code, newest(project).asks.confidence_points) == (409, 9)
    assert manager.post(page, as_posted(answer)).status_code == 302
    now = newest(project)
    assert (now.version, now.asks.confidence_points, now.allow_ties, now.ask_rationale) == (3, 5, False, True)


def test_a_change_of_the_question_alone_keeps_what_is_asked(project, max_):
    change_question_settings(
        actor=max_, project=project, allow_ties=True, ask_rationale=False, asked={"confidence_points": 9}
    )
    change_question_settings(actor=max_, project=project, allow_ties=False, ask_rationale=False)
    assert newest(project).asks.confidence_points == 9


def test_a_project_begins_from_a_preset(client, make_user):
    root = make_user("root", is_staff=True)
    client.force_login(root)
    address = reverse("workspace:new_project")
    form = client.get(address).context["form"]
    data = {field.html_name: field.value() for field in form if field.value() not in (None, False)}
    assert client.post(address, data | {"name": "Talk", "preset": "hh"}).status_code == 302
    project = root.memberships.get().project
    assert list(project.criteria.order_by("pk").values_list("name", flat=True)) == ["helpful", "harmless"]
    assert (newest(project).asks.preset, newest(project).allow_ties) == ("hh", False)
    other = create_project(actor=root, name="Other", criterion_name="kind", preset="llama2")
    assert list(other.criteria.order_by("pk").values_list("name", flat=True)) == ["kind", "helpful", "safe"]


def test_the_command_shows_sets_and_refuses(project, tmp_path, capsys):
    call_command("ask", "kitchen")
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads(json.dumps(Asked().as_json()))
    file = tmp_path / "asked.json"
    file.write_text(json.dumps(shown | {"confidence_points": 5}))
    call_command("ask", "kitchen", "--file", str(file), "--ties", "no")
    assert capsys.readouterr().out == "Version 2 of the question is in force. Marks of each answer: none.\n"
    assert (newest(project).asks.confidence_points, newest(project).allow_ties) == (5, False)
    file.write_text('{"marks": [{"name": "x"}]}')
    with pytest.raises(CommandError, match=r"marks\.0\.") as caught:
        call_command("ask", "kitchen", "--file", str(file))
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="is not JSON"):
        file.write_text("{")
        call_command("ask", "kitchen", "--file", str(file))
    assert newest(project).version == 2


@pytest.mark.parametrize("version", ["", "x", None])
def test_a_preset_replaces_nothing_unseen(manager, project, page, version):
    before = newest(project)
    sent = {"preset": "llama2"} | ({} if version is None else {"version": version})
    assert manager.post(page, sent).status_code == 302
    assert newest(project) == before


def test_that_rankings_begin_by_questions_is_set_on_the_page_and_reaches_the_ranking(
    manager, page, project, client, ada, make_batch
):
    make_batch(tasks=1, responses_per_task=6)
    assert not newest(project).asks.guided_first
    assert manager.post(page, as_posted(manager.get(page)) | {"guided_first": "on"}).status_code == 302
    assert newest(project).asks.guided_first
    versions = manager.get(reverse("annotation:guideline_versions", args=[project.slug])).content.decode()
    assert "begin by questions" in versions
    # Given back as it is, and taken away again.
    assert manager.post(page, as_posted(manager.get(page))).status_code == 302
    assert newest(project).asks.guided_first
    client.force_login(ada)
    shown = client.post(
        reverse("annotation:next_task", args=[project.slug]), "{}", content_type="application/json",
        headers={"X-Page-Version": PAGE_VERSION},
    ).json()  # fmt: skip
    assert 'data-guided-first="1"' in shown["html"]
    manager.force_login(project.memberships.get(role="manager").user)
    data = {name: value for name, value in as_posted(manager.get(page)).items() if name != "guided_first"}
    assert manager.post(page, data).status_code == 302
    assert not newest(project).asks.guided_first
