"""Fine-tuning learns from answers that people put first: which these are, and how it is asked for."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.batches.exclusion import exclude_batch
from annotation.importing.actions import import_comparisons, take_back_import
from annotation.importing.report import ImportRefused
from annotation.models import Batch, Import, Response
from policy_training.actions import train_sft
from policy_training.run_kinds import SFT
from policy_training.supervised.judged_answers import JudgmentChoice
from policy_training.supervised.options import language_model_config
from policy_training.supervised.preferred_answers import PreferredAnswers, preferred_rows
from runs.models import Run
from tests.policy_training.test_forms import same, shown, started
from workspace.errors import ActionError
from workspace.models import User

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


def test_whose_judgments_and_of_which_batches(project, max_, compared, tmp_path):
    """People put “good” and “fine” first, an AI judge of another file “warm”."""
    file = tmp_path / "ai.jsonl"
    row = {"prompt": "S?", "chosen": "warm", "rejected": "cold", "annotator": "judge"}
    file.write_text(json.dumps(row))
    import_comparisons(actor=max_, project=project, path=file, format="trl", batch_name="Judges")
    people, judge = Batch.objects.order_by("pk")
    User.objects.filter(judgments__task__batch=judge).update(kind="ai")
    asked = PreferredAnswers(at_least=0.5)

    def learned(**choice):
        return {row["response"] for row in preferred_rows(project, asked, JudgmentChoice(**choice))}

    assert learned() == {"good", "fine"}
    assert learned(annotator_kinds=("ai",)) == {"warm"}
    both = {"annotator_kinds": ("person", "ai")}
    assert learned(**both) == {"good", "fine", "warm"}
    assert learned(**both, batches=(judge.pk,)) == {"warm"}
    assert learned(**both, batches=(people.pk,)) == {"good", "fine"}
    assert learned(batches=(judge.pk,)) == set()
    run = train_sft(
        actor=max_,
        project=project,
        config=language_model_config("tiny", []),
        name="fine",
        preferred=asked,
        batches=[judge],
        annotator_kinds=["ai"],
    )
    rows, _ = SFT.build_inputs(run)["demonstrations"]
    assert {row["response"] for row in rows} == {"warm"}
    exclude_batch(actor=max_, batch=judge)
    with pytest.raises(ActionError, match="No answer was put first"):
        SFT.build_inputs(run)


def test_a_choice_of_judgments_that_nobody_reads_is_refused(project, max_, compared):
    asked = {"actor": max_, "project": project, "config": language_model_config("tiny", []), "name": "fine"}
    for choice in ({"batches": list(project.batches.all())}, {"annotator_kinds": ["ai"]}):
        with pytest.raises(ActionError, match="are for answers that people rated or put first"):
            train_sft(**asked, **choice)
    with pytest.raises(ActionError, match="Say whose judgments"):
        train_sft(**asked, preferred=PreferredAnswers(at_least=0.5), annotator_kinds=[])


def test_the_command_and_the_page_ask_the_same(project, max_, client, compared):
    client.force_login(max_)
    criterion = project.criteria.get()
    address = reverse("policies:fine_tune", args=[project.slug])
    batch = project.batches.get()
    sent = {
        "name": "fine",
        "put_first": "0.5",
        "put_first_by": criterion.pk,
        "batches": [batch.pk],
        "annotator_kinds": ["person", "ai"],
    }
    run = started(client.post(address, shown(client, address) | sent))
    call_command(
        "fine_tune", project.slug, "fine", "--put-first", "0.5", "--put-first-by", criterion.name,
        "--batch", batch.name, "--annotator-kinds", "ai", "person", verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    assert run.parameters["preferred"] == {"at_least": 0.5, "criterion": criterion.name}
    again = client.get(address, {"run": run.pk}).context["form"]
    assert (again["put_first"].value(), again["put_first_by"].value()) == (0.5, criterion.pk)
    assert run.parameters["judgments"] == {"batches": [batch.pk], "annotator_kinds": ["person", "ai"]}
    assert (again["batches"].value(), again["annotator_kinds"].value()) == ([batch.pk], ["person", "ai"])
    body = {"name": "fine", "put_first": 0.5, "put_first_by": criterion.name, "batches": [batch.name]}
    answer = client.post(
        f"/api/v1/projects/{project.slug}/policies/fine-tune",
        body | {"annotator_kinds": ["person", "ai"]},
        content_type="application/json",
    )
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))
    for arguments, said in (
        (["--put-first", "0"], "above 0 and at most 1"),
        (["--put-first-by", criterion.name], "needs --put-first"),
        (["--put-first", "0.5", "--pretrain"], "leave --pretrain out"),
        (["--batch", batch.name, "--pretrain"], "leave --pretrain out"),
    ):
        with pytest.raises(CommandError, match=said):
            call_command("fine_tune", project.slug, "other", *arguments)
