"""A reward model learns from ratings of single answers: by action, command, page and API alike."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.content.actions import get_or_create_source
from annotation.datasets.actions import freeze_dataset
from annotation.importing.actions import import_comparisons
from learning.interface.record_checks import validate_row
from learning.interface.record_schemas import RATINGS
from policy_training.models import Policy
from rewardmodel.actions import TooFewJudgments
from rewardmodel.figures import evaluation_sentences, ratings_sentence
from rewardmodel.models import RewardModel
from rewardmodel.run_kinds import EVALUATE, TRAIN
from rewardmodel.start_training import start_training
from runs.errors import BadRunConfig
from runs.models import Artifact, Run
from tests.policy_training.test_forms import same, shown, started
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def base(project):
    return Artifact.objects.create(project=project, kind="policy", path="base", sha256="0" * 64, size_bytes=1)


@pytest.fixture
def rated(project, max_, settings, tmp_path):
    """Two people's ratings of two answers to each of four prompts; what one of them says is the other way round."""
    settings.DATA_DIR = tmp_path / "data"
    rows = [
        {"prompt": f"Q{n}?", "response": text, "ratings": {"use": score}, "annotator": who, "split": "train"}
        for n in range(4)
        for who, scores in (("u", (5, 1)), ("v", (2, 3)))
        for text, score in zip(("long", "short"), scores, strict=True)
    ]
    file = tmp_path / "ratings.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    import_comparisons(actor=max_, project=project, path=file, format="ratings")


def test_ratings_become_comparisons_where_a_training_asks_for_them(project, criterion, max_, rated, base):
    asked = {"actor": max_, "project": project, "base": base, "preset": "tiny", "criteria": [criterion]}
    with pytest.raises(TooFewJudgments):
        start_training(**asked, name="none")
    with pytest.raises(TooFewJudgments):
        start_training(**asked, name="other", ratings="tone")
    for points, ratings in ((0.0, "use"), (1.0, "")):
        with pytest.raises(ActionError, match="Points per grade"):
            start_training(**asked, name="bad", ratings=ratings, points_per_grade=points)
    run = start_training(**asked, name="taste", ratings="use", points_per_grade=2)
    comparisons, _ = TRAIN.build_inputs(run)["comparisons"]
    rows = list(comparisons)
    assert len(rows) == 8
    assert [(row["responses"], row["ranks"]) for row in rows[:2]] == [
        (["long", "short"], [0, 1]),
        (["long", "short"], [1, 0]),
    ]
    assert [row["grade"] for row in rows[:2]] == [[[None, 2.0], [None, None]], [[None, None], [0.5, None]]]


def test_the_command_and_the_page_ask_for_the_same(project, criterion, max_, rated, base, client, tmp_path):
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "config.json").write_text("{}")
    start = ("--start", str(tmp_path / "policy"))
    with pytest.raises(CommandError, match="has no judgments|can learn|needs"):
        call_command("train_reward_model", project.slug, "none", *start)
    call_command("train_reward_model", project.slug, "one", *start, "--ratings", "use")
    asked = {"mark": "use", "points_per_grade": None}
    assert Run.objects.get(title="Train one").parameters["ratings"] == asked
    client.force_login(max_)
    page = reverse("reward_models:train", args=[project.slug])
    assert b"Ratings of single answers" in client.get(page).content


@pytest.mark.parametrize("loss", ["regression", "ordinal"])
def test_a_loss_of_ratings_gets_the_points_themselves(project, criterion, max_, rated, base, loss):
    assignments = [f"objective.ranking_loss={loss}", "objective.center_rewards_coefficient=0"]
    asked = {
        "actor": max_,
        "project": project,
        "base": base,
        "preset": "tiny",
        "criteria": [criterion],
        "assignments": assignments,
    }
    with pytest.raises(ActionError, match="name the mark"):
        start_training(**asked, name="none")
    for more in ({"points_per_grade": 1.0}, {"consensus": True}):
        with pytest.raises(ActionError, match="belong to comparisons"):
            start_training(**asked, name="bad", ratings="use", **more)
    with pytest.raises(TooFewJudgments, match="0 ratings with 0 different scores"):
        start_training(**asked, name="other", ratings="tone")
    with pytest.raises(BadRunConfig, match="center_rewards_coefficient"):
        start_training(**{**asked, "assignments": assignments[:1]}, name="centred", ratings="use")
    run = start_training(**asked, name="points", ratings="use")
    inputs = TRAIN.build_inputs(run)
    assert "comparisons" not in inputs
    rows = [validate_row(row, RATINGS, lambda: "row") for row in inputs["ratings"][0]]
    assert [(row["responses"], row["scores"], row["mark"]) for row in rows[:2]] == [
        (["long", "short"], [5.0, 1.0], "use"),
        (["long", "short"], [2.0, 3.0], "use"),
    ]
    assert len(rows) == 8 and {row["weight"] for row in rows} == {1.0}


def test_the_api_trains_on_ratings_and_refuses_points_without_a_mark(
    project, criterion, max_, rated, base, client
):
    source = get_or_create_source(actor=max_, project=project, kind="policy", name="start")
    policy = Policy.objects.create(project=project, name="start", artifact=base, source=source)
    client.force_login(max_)
    asked = {"start_policy": policy.pk, "criteria": [criterion.name]}
    url = f"/api/v1/projects/{project.slug}/reward-models/train"

    def post(key, **more):
        return client.post(
            url, json.dumps(asked | more), content_type="application/json", headers={"Idempotency-Key": key}
        )

    refused = post("a", name="bad", points_per_grade=2.0)
    assert refused.status_code == 400 and "points_per_grade" in refused.json()["fields"]
    made = post("b", name="taste", ratings="use", points_per_grade=2.0)
    assert made.status_code == 201
    run = Run.objects.get(pk=made.json()["id"])
    assert run.parameters["ratings"] == {"mark": "use", "points_per_grade": 2.0}
    settings = {"objective.ranking_loss": "ordinal", "objective.center_rewards_coefficient": 0}
    made = post("c", name="points", ratings="use", settings=settings)
    assert made.status_code == 201, made.json()
    run = Run.objects.get(pk=made.json()["id"])
    assert run.config["objective"]["ranking_loss"] == "ordinal" and "ratings" in TRAIN.build_inputs(run)


def test_the_page_of_a_model_says_how_close_it_comes_to_ratings():
    report = {"ratings": {"n": 40, "spearman": 0.625, "pearson": 0.6}}
    assert ratings_sentence(report) == "0.62 rank correlation with 40 held-out ratings"
    assert ratings_sentence({"ratings": {"n": 1, "spearman": None}}) == ratings_sentence({}) == ""
    report["ratings"] |= {"spearman_interval": [0.5, 0.72], "pearson_interval": [0.41, 0.77]}
    assert evaluation_sentences(report | {"accuracy": 0.75, "n": 8, "interval": [0.41, 0.93]}) == [
        "0.62 (0.50 to 0.72) rank correlation with 40 held-out ratings",
        "0.60 (0.41 to 0.77) linear correlation (Pearson)",
        "75.0 % of 8 held-out pairs (41.0 to 93.0 %)",
    ]


@pytest.fixture
def model(project, max_, rated, base):
    dataset = freeze_dataset(actor=max_, project=project, name="rated")
    run = Run.objects.create(
        project=project, kind="rewardmodel.train", title="Train taste", requested_by=max_, config={}
    )
    return RewardModel.objects.create(
        project=project, name="taste", artifact=base, dataset=dataset, produced_by=run
    )


def test_an_evaluation_on_ratings_is_asked_for_by_command_page_and_api(
    project, criterion, max_, rated, base, model, client
):
    call_command(
        "evaluate_reward_model",
        project.slug,
        "taste",
        "--dataset",
        "rated",
        "--split",
        "train",
        "--ratings",
        "use",
    )
    run = Run.objects.latest("pk")
    assert run.parameters["labels"] == "ratings by use" and "ratings by use" in run.title
    inputs = EVALUATE.build_inputs(run)
    rows = [validate_row(row, RATINGS, lambda: "row") for row in inputs["ratings"][0]]
    assert len(rows) == 8 and "comparisons" not in inputs
    for wrong, said in (
        (("--ratings", "tone"), "0 ratings by “tone” in the split train"),
        (("--ratings", "use", "--consensus"), "leave consensus out"),
    ):
        with pytest.raises(CommandError, match=said):
            call_command(
                "evaluate_reward_model",
                project.slug,
                "taste",
                "--dataset",
                "rated",
                "--split",
                "train",
                *wrong,
            )
    client.force_login(max_)
    page = reverse("reward_models:evaluate", args=[project.slug])
    sent = shown(client, page, reward_model=model.pk) | {"dataset": model.dataset_id, "split": "train"}
    assert same(started(client.post(page, sent | {"ratings": "use"})), run)
    answer = client.post(
        f"/api/v1/projects/{project.slug}/reward-models/{model.pk}/evaluations",
        json.dumps({"dataset": model.dataset_id, "split": "train", "ratings": "use"}),
        content_type="application/json",
        headers={"Idempotency-Key": "e"},
    )
    assert answer.status_code == 201 and same(Run.objects.get(pk=answer.json()["id"]), run)
    EVALUATE.save_result(
        run, {"ratings": {"n": 8, "spearman": 0.5, "pearson": 0.25}, "n": 8, "accuracy": 0.75}
    )
    said = client.get(reverse("reward_models:reward_model", args=[project.slug, model.pk])).content.decode()
    assert (
        "0.50 rank correlation with 8 held-out ratings; 0.25 linear correlation (Pearson); 75.0 % of 8"
        in said
    )
    assert "against ratings by use" in said
