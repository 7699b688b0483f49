"""Fine-tuning learns from answers that people rated well: which these are, and how it is asked for."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.importing.actions import import_comparisons, take_back_import
from annotation.importing.report import ImportRefused
from annotation.models import Import, Response
from policy_training.actions import train_sft
from policy_training.run_kinds import SFT
from policy_training.supervised.options import language_model_config
from policy_training.supervised.rated_answers import RatedAnswers, rated_rows
from runs.models import Run
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def rated(project, max_, tmp_path):
    given = [("good", "u", 7), ("good", "v", 6), ("fair", "u", 7), ("fair", "v", 4), ("poor", "u", 1)]
    rows = [
        {"prompt": "Q?", "response": text, "ratings": {"overall": points}, "annotator": who}
        for text, who, points in given
    ]
    file = tmp_path / "ratings.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    import_comparisons(actor=max_, project=project, path=file, format="ratings")


@pytest.mark.parametrize(
    ("at_least", "texts"), [(7, []), (6.5, ["good"]), (5.5, ["good", "fair"]), (1, ["good", "fair", "poor"])]
)
def test_the_mean_over_the_people_decides_and_an_answer_comes_once(project, rated, at_least, texts):
    rows = list(rated_rows(project, RatedAnswers(mark="overall", at_least=at_least)))
    assert [row["response"] for row in rows] == texts
    assert {row["prompt"][0]["content"] for row in rows} <= {"Q?"}


def test_what_was_cut_off_is_left_out_and_another_mark_has_none(project, rated):
    asked = RatedAnswers(mark="overall", at_least=5)
    Response.objects.filter(text="good").update(ended=False)
    assert [row["response"] for row in rated_rows(project, asked)] == ["fair"]
    assert list(rated_rows(project, RatedAnswers(mark="tone", at_least=0))) == []


def test_a_run_learns_from_them_without_any_demonstration(project, max_, rated):
    asked = {"actor": max_, "project": project, "config": language_model_config("tiny", [])}
    run = train_sft(**asked, name="fine", rated=RatedAnswers(mark="overall", at_least=5))
    rows, _ = SFT.build_inputs(run)["demonstrations"]
    assert [row["response"] for row in rows] == ["good", "fair"]
    brought = Import.objects.get()
    assert brought.used_for == f"run {run.pk}"
    with pytest.raises(ImportRefused, match=f"run {run.pk}"):
        take_back_import(actor=max_, imported=brought)
    none = train_sft(**asked, name="none", rated=RatedAnswers(mark="overall", at_least=8))
    with pytest.raises(ActionError, match="No answer has a mean of 8 or more"):
        SFT.build_inputs(none)


def test_a_mark_that_nobody_gives_is_refused_when_it_is_asked_for(project, max_, client, rated):
    """Not when a worker has come to it; marks that annotators are asked for may come yet."""
    asked = {"actor": max_, "project": project, "config": language_model_config("tiny", []), "name": "fine"}
    with pytest.raises(ActionError, match=r"Nobody is asked for the mark “overal”.* asked for: –"):
        train_sft(**asked, rated=RatedAnswers(mark="overal", at_least=5))
    settings = project.question_settings.latest_version()
    marks = [
        {"name": "harm", "label": "Harmful", "kind": "yes_no"},
        {"name": "why", "label": "Why", "kind": "text"},
    ]
    type(settings).objects.filter(pk=settings.pk).update(asked={"marks": marks})
    with pytest.raises(ActionError, match="“why” has no points"):
        train_sft(**asked, rated=RatedAnswers(mark="why", at_least=5))
    with pytest.raises(ActionError, match="asked for: harm"):
        train_sft(**asked, rated=RatedAnswers(mark="overal", at_least=5))
    assert not Run.objects.exists()
    assert train_sft(**asked, rated=RatedAnswers(mark="harm", at_least=1))


def test_the_command_and_the_page_ask_for_them(project, max_, client, rated):
    call_command("fine_tune", project.slug, "fine", "--rated", "overall", "6")
    assert Run.objects.get().parameters["rated"] == {"mark": "overall", "at_least": 6.0}
    with pytest.raises(CommandError, match="the second is a number"):
        call_command("fine_tune", project.slug, "other", "--rated", "overall", "much")
    with pytest.raises(CommandError, match="leave --pretrain out"):
        call_command("fine_tune", project.slug, "other", "--rated", "overall", "6", "--pretrain")
    client.force_login(max_)
    assert b"rated_mark" in client.get(reverse("policies:fine_tune", args=[project.slug])).content
