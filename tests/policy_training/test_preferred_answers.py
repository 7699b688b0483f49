"""Fine-tuning learns from answers that people put first: which these are, and how it is asked for."""

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
from policy_training.supervised.preferred_answers import PreferredAnswers, preferred_rows
from runs.models import Run
from tests.policy_training.test_forms import same, shown, started
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def compared(project, max_, tmp_path):
    """Four people compare two answers, 3 to 1; two people others, where one finds them alike."""
    given = [("good", "fair", who) for who in "uvw"] + [("fair", "good", "x"), ("fine", "poor", "u")]
    rows = [
        {"prompt": "Q?" if "fair" in pair else "R?", "chosen": pair[0], "rejected": pair[1], "annotator": who}
        for *pair, who in given
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    import_comparisons(actor=max_, project=project, path=file, format="trl")


@pytest.mark.parametrize(
    ("share", "texts"),
    [
        (1.0, {"fine"}),
        (0.75, {"fine", "good"}),
        (0.25, {"fine", "good", "fair"}),
        (0.01, {"fine", "good", "fair"}),
    ],
)
def test_the_share_of_the_people_decides_and_an_answer_comes_once(project, compared, share, texts):
    rows = [row["response"] for row in preferred_rows(project, PreferredAnswers(at_least=share))]
    assert set(rows) == texts and len(rows) == len(texts)


def test_what_was_cut_off_is_left_out_and_another_criterion_has_none(project, compared):
    Response.objects.filter(text="good").update(ended=False)
    asked = PreferredAnswers(at_least=0.5)
    assert [row["response"] for row in preferred_rows(project, asked)] == ["fine"]
    criterion = project.criteria.get().name
    both = PreferredAnswers(at_least=0.5, criterion=criterion)
    assert [row["response"] for row in preferred_rows(project, both)] == ["fine"]
    assert list(preferred_rows(project, PreferredAnswers(at_least=0.5, criterion="tone"))) == []


def test_a_run_learns_from_them_without_any_demonstration(project, max_, compared):
    asked = {"actor": max_, "project": project, "config": language_model_config("tiny", [])}
    run = train_sft(**asked, name="fine", preferred=PreferredAnswers(at_least=0.5))
    rows, _ = SFT.build_inputs(run)["demonstrations"]
    assert {row["response"] for row in rows} == {"good", "fine"}
    brought = Import.objects.get()
    assert brought.used_for == f"run {run.pk}"
    with pytest.raises(ImportRefused, match=f"run {run.pk}"):
        take_back_import(actor=max_, imported=brought)
    none = train_sft(**asked, name="none", preferred=PreferredAnswers(at_least=0.5, criterion="tone"))
    with pytest.raises(ActionError, match="No answer was put first by tone by 50 %"):
        SFT.build_inputs(none)


def test_the_command_and_the_page_ask_the_same(project, max_, client, compared):
    client.force_login(max_)
    criterion = project.criteria.get()
    address = reverse("policies:fine_tune", args=[project.slug])
    sent = {"name": "fine", "put_first": "0.5", "put_first_by": criterion.pk}
    run = started(client.post(address, shown(client, address) | sent))
    call_command(
        "fine_tune", project.slug, "fine", "--put-first", "0.5", "--put-first-by", criterion.name, verbosity=0
    )
    assert same(run, Run.objects.latest("pk"))
    assert run.parameters["preferred"] == {"at_least": 0.5, "criterion": criterion.name}
    again = client.get(address, {"run": run.pk}).context["form"]
    assert (again["put_first"].value(), again["put_first_by"].value()) == (0.5, criterion.pk)
    for arguments, said in (
        (["--put-first", "0"], "above 0 and at most 1"),
        (["--put-first-by", criterion.name], "needs --put-first"),
        (["--put-first", "0.5", "--pretrain"], "leave --pretrain out"),
    ):
        with pytest.raises(CommandError, match=said):
            call_command("fine_tune", project.slug, "other", *arguments)
