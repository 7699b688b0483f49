"""The pages of datasets: what they say, what they freeze, and who may open them."""

import shutil

import pytest
from django.urls import reverse

from annotation.datasets import preview as preview_module
from annotation.datasets.actions import freeze_dataset
from annotation.models import PreferenceDataset
from rewardmodel.models import RewardModel
from runs.models import Artifact, Run
from tests.annotation.datasets.conftest import folder_of, judge_all

pytestmark = [pytest.mark.db, pytest.mark.django_db]
CHOSEN = {"annotator_kinds": ["person"], "purposes": ["normal", "head_to_head"]}


@pytest.fixture
def judged(max_, make_batch, make_annotators):
    one, two = make_annotators(2)
    first = make_batch(
        tasks=3, overlap=2, name="first", round_number=1, texts=("Short.", "Longer, much longer.")
    )
    judge_all(max_, first, [
        (task, person, [[0], [1]] if place or person == one else [[1], [0]], [2])
        for place, task in enumerate(first.tasks.order_by("pk"))
        for person in (one, two)
    ])  # fmt: skip
    return first


@pytest.fixture
def at(project):
    return lambda name, *args: reverse(f"data:{name}", args=[project.slug, *args])


def test_the_list_names_versions_and_finds_by_name_and_use(client, project, max_, ruth, judged, at):
    for name in ("tea", "tea", "salt"):
        freeze_dataset(actor=max_, project=project, name=name, new_version=True)
    client.force_login(ruth)
    text = client.get(at("datasets")).content.decode()
    assert "Version 2" in text and "6 judgments on 3 tasks" in text and "New dataset" not in text
    assert client.get(at("datasets"), {"q": "te"}).context["listing"].count == 2
    assert client.get(at("datasets"), {"used": "yes"}).context["listing"].count == 0


def test_a_page_says_what_is_in_it_and_what_came_of_it(client, project, criterion, max_, ruth, judged, at):
    dataset = freeze_dataset(
        actor=max_, project=project, name="tea", criterion=criterion, rounds=[1], licence="cc0-1.0",
        description="<b>Cooks</b> & bakers.",
    )  # fmt: skip
    run = Run.objects.create(
        project=project, kind="rewardmodel.train", requested_by=max_, directory="one", config={}
    )
    artifact = Artifact.objects.create(
        project=project, kind="reward_model", path="models/rm", sha256="0" * 64, size_bytes=1
    )
    RewardModel.objects.create(
        project=project, name="taste", artifact=artifact, dataset=dataset, produced_by=run
    )
    client.force_login(ruth)
    text = client.get(at("dataset", dataset.pk)).content.decode()
    assert "&lt;b&gt;Cooks&lt;/b&gt; &amp; bakers." in text and "<b>Cooks" not in text
    assert reverse("reward_models:reward_model", args=[project.slug, RewardModel.objects.get().pk]) in text
    assert reverse("annotation:batch", args=[project.slug, judged.pk]) in text
    assert dataset.filters["content_sha256"] in text
    # On two of three tasks both people agree.
    assert "66.7 % <span" in text and "on 3 groups judged twice or more" in text
    context = client.get(at("dataset", dataset.pk)).context
    assert [(bar.label, bar.value) for bar in context["grades"] if bar.value] == [("Better", 6)]
    assert context["longer_percent"] == pytest.approx(100 / 6)
    assert "Licence and description</h2>" not in text  # for managers


def test_a_page_of_a_dataset_without_its_files_says_so(client, project, max_, judged, at, settings):
    dataset = freeze_dataset(actor=max_, project=project)
    shutil.rmtree(folder_of(dataset, settings))
    client.force_login(max_)
    assert "has lost its manifest" in client.get(at("dataset", dataset.pk)).content.decode()


def test_a_manager_freezes_what_the_form_selects(client, project, max_, judged, at):
    client.force_login(max_)
    assert client.get(at("new_dataset")).status_code == 200
    form = CHOSEN | {"name": "tea", "min_agreement": "90", "batches": [judged.pk], "licence": "odc-by"}
    answer = client.post(at("new_dataset"), form)
    dataset = PreferenceDataset.objects.get()
    assert answer.url == at("dataset", dataset.pk)
    assert (dataset.name, dataset.licence, dataset.counts["judgments"]) == ("tea", "odc-by", 4)
    assert (dataset.filters["min_agreement"], dataset.filters["batches"]) == (0.9, ["first"])
    taken = client.post(at("new_dataset"), CHOSEN | {"name": "tea"})
    assert taken.status_code == 422 and "already: take another name" in taken.content.decode()
    client.post(at("new_dataset"), CHOSEN | {"name": "tea", "new_version": "on"})
    assert [d.version for d in PreferenceDataset.objects.order_by("pk")] == [1, 2]
    nothing = client.post(at("new_dataset"), CHOSEN | {"name": "none", "since": "2999-01-01"})
    assert nothing.status_code == 422 and "none meets the conditions" in nothing.content.decode()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "<strong>6</strong> judgments on <strong>3</strong> tasks."),
        ({"min_agreement": "90"}, "<strong>4</strong> judgments on <strong>2</strong> tasks."),
        ({"min_characters": "7"}, "None of those that were read meets the conditions."),
        ({"annotator_kinds": ["ai"]}, "No judgment is chosen."),
        ({"min_characters": "9", "max_characters": "3"}, "At least 9 and at most 3 characters"),
        ({"since": "yesterday"}, "Enter a valid date."),
        ({"rounds": ["1"]}, "<strong>6</strong> judgments"),
        ({"rounds": ["2"]}, "2 is not one of the available choices"),
    ],
)
def test_the_count_before_freezing(client, max_, judged, at, asked, said):
    client.force_login(max_)
    assert said in client.get(at("preview_dataset"), CHOSEN | asked).content.decode()
    assert not PreferenceDataset.objects.exists()


def test_the_count_of_a_large_selection_is_of_its_first_rows(client, max_, judged, at, monkeypatch):
    monkeypatch.setattr(preview_module, "ROWS_READ", 4)
    monkeypatch.setattr(preview_module, "ROWS_COUNTED", 5)
    client.force_login(max_)
    everything = client.get(at("preview_dataset"), CHOSEN).content.decode()
    assert "More than <strong>5</strong> judgments." in everything
    agreed = client.get(at("preview_dataset"), CHOSEN | {"min_agreement": "90"}).content.decode()
    # Of the first two tasks, one: two of four judgments.
    assert "About <strong>2</strong> of more than 5 judgments: 2 of the first 4 meet the conditions" in agreed


def test_a_sample_names_neither_sources_nor_people(client, max_, judged, at):
    client.force_login(max_)
    text = client.get(at("preview_dataset"), CHOSEN).content.decode()
    assert "Longer, much longer." in text and "secret-policy-7b" not in text and "annotator0" not in text


def test_two_datasets_side_by_side(client, project, max_, ruth, judged, at):
    old = freeze_dataset(actor=max_, project=project, name="old", batches=[judged])
    new = freeze_dataset(actor=max_, project=project, name="new")
    client.force_login(ruth)
    assert (
        "Nobody says anything else"
        in client.get(at("compare_datasets"), {"old": old.pk, "new": new.pk}).content.decode()
    )
    assert client.get(at("compare_datasets"), {"old": "9" * 30, "new": "x"}).status_code == 200
    assert client.get(at("compare_datasets"), {"old": new.pk + 9, "new": new.pk}).status_code == 404


def test_a_manager_puts_the_licence_right(client, project, max_, ruth, judged, at):
    dataset = freeze_dataset(actor=max_, project=project)
    client.force_login(ruth)
    assert client.post(at("describe_dataset", dataset.pk), {"licence": "mit"}).status_code == 404
    client.force_login(max_)
    shown = client.get(at("dataset", dataset.pk)).context["form"]["shown"].value()
    sent = {"licence": "mit", "description": "Tea.", "shown": shown}
    assert client.post(at("describe_dataset", dataset.pk), sent).status_code == 302
    dataset.refresh_from_db()
    assert (dataset.licence, dataset.description) == ("mit", "Tea.")
    # Whoever had the page open before that sees both, and nothing that they wrote is lost.
    answer = client.post(at("describe_dataset", dataset.pk), sent | {"description": "Herbs."})
    assert answer.status_code == 409 and answer.context["differences"] == [("Description", "Tea.", "Herbs.")]
    assert "Herbs.</textarea>" in answer.content.decode()
    dataset.refresh_from_db()
    assert dataset.description == "Tea."
    unfit = sent | {"licence": "x" * 101, "shown": answer.context["form"]["shown"].value()}
    answer = client.post(at("describe_dataset", dataset.pk), unfit)
    assert answer.status_code == 422 and "Tea.</textarea>" in answer.content.decode()


def test_a_program_changes_what_it_read(program, project, max_, judged):
    dataset = freeze_dataset(actor=max_, project=project)
    call, address = program(max_, project), f"projects/{project.slug}/datasets/{dataset.pk}"
    read = call("GET", address)
    assert call("GET", address, If_None_Match=read["ETag"]).status_code == 304
    first = call("PATCH", address, {"licence": "mit"}, If_Match=read["ETag"])
    assert first.status_code == 200 and first["ETag"] != read["ETag"]
    stale = call("PATCH", address, {"description": "Old"}, If_Match=read["ETag"])
    assert (stale.status_code, stale["Content-Type"]) == (412, "application/problem+json")
    assert stale.json()["code"] == "changed_meanwhile"
    for tag in ("W/" + first["ETag"], "nonsense", '"0"'):
        assert call("PATCH", address, {"description": "Old"}, If_Match=tag).status_code == 412
    # One of several, any, or none: of what is not sent nothing changes.
    for number, tag in enumerate(('"x", ' + first["ETag"], "*", None)):
        sent = {} if tag is None else {"If_Match": tag}
        answer = call("PATCH", address, {"description": str(number)}, **sent)
        assert (answer.status_code, answer.json()["licence"]) == (200, "mit")


def test_who_may_open_which_page(client, project, ada, ruth, max_, olga, judged, at):
    dataset = freeze_dataset(actor=max_, project=project)
    pages = {
        at("datasets"): {ruth, max_}, at("dataset", dataset.pk): {ruth, max_},
        at("compare_datasets"): {ruth, max_}, at("new_dataset"): {max_}, at("preview_dataset"): {max_},
    }  # fmt: skip
    for person in (ada, ruth, max_, olga):
        client.force_login(person)
        for address, allowed in pages.items():
            assert client.get(address).status_code == (200 if person in allowed else 404), (person, address)
    garden = olga.memberships.get().project
    client.force_login(olga)
    assert client.get(reverse("data:dataset", args=[garden.slug, dataset.pk])).status_code == 404
