"""The Data section: what its lists find, what its pages say, and who may read them."""

import json

import pytest
from django.urls import reverse

from annotation.content.actions import get_or_create_source
from annotation.importing.actions import import_comparisons
from annotation.importing.contents.actions import import_demonstrations, import_prompts, import_texts
from annotation.models import Demonstration, Import, Prompt, PromptSet, Text
from policy_training.models import Policy
from runs.models import Artifact

pytestmark = [pytest.mark.db, pytest.mark.django_db]
LISTS = ["data:prompts", "data:prompt_sets", "data:demonstrations", "data:texts", "data:imports", "data:datasets",
         "reward_models:list", "policies:list"]  # fmt: skip


@pytest.fixture
def filled(project, criterion, max_, tmp_path):
    def bring(action, rows, name, **options):
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, rows)))
        return action(actor=max_, project=project, path=path, **options)

    bring(
        import_prompts,
        [
            {"prompt": "Wie heißt der Käse?", "split": "test", "id": "k1", "colour": "green"},
            {"prompt": "What is “tea”?", "split": "train", "tags": ["drinks"]},
        ],
        "prompts.jsonl",
    )
    bring(import_demonstrations, [{"prompt": "Boil?", "response": "For **three** minutes."}], "shown.jsonl")
    bring(import_texts, [{"text": "A text about salt."}], "texts.jsonl", licence="CC0")
    bring(
        import_comparisons,
        [{"prompt": "Milk?", "chosen": "yes", "rejected": "no"}],
        "pairs.jsonl",
        format="trl",
    )
    artifact = Artifact.objects.create(
        project=project, kind="policy", path="models/base", sha256="0" * 64, size_bytes=1
    )
    source = get_or_create_source(actor=max_, project=project, kind="policy", name="base")
    Policy.objects.create(project=project, name="base", artifact=artifact, source=source)
    return project


@pytest.fixture
def pages(filled):
    of = {
        "data:prompt": Prompt.objects.get(source_id="k1"),
        "data:prompt_set": PromptSet.objects.get(name="prompts"),
        "data:demonstration": Demonstration.objects.get(),
        "data:text": Text.objects.get(),
        "data:import": Import.objects.get(kind="comparisons"),
        "policies:policy": Policy.objects.get(),
    }
    addresses = {name: reverse(name, args=[filled.slug]) for name in LISTS}
    return addresses | {name: reverse(name, args=[filled.slug, thing.pk]) for name, thing in of.items()}


def test_reviewers_and_managers_read_everything_and_nobody_else_anything(
    client, pages, ada, ruth, max_, olga
):
    for person, status in ((ada, 404), (olga, 404), (ruth, 200), (max_, 200)):
        client.force_login(person)
        assert {name: client.get(address).status_code for name, address in pages.items()} == dict.fromkeys(
            pages, status
        )
        for name, address in pages.items():
            assert client.post(address).status_code == 405, name


def test_things_of_another_project_are_not_found_through_ones_own(client, pages, filled, olga):
    garden = olga.memberships.get().project
    client.force_login(olga)
    for name, address in pages.items():
        expected = 200 if name in LISTS else 404
        assert client.get(address.replace(f"/{filled.slug}/", f"/{garden.slug}/")).status_code == expected, (
            name
        )


def test_search_finds_words_in_any_script_and_ids(client, filled, max_):
    client.force_login(max_)
    found = {
        query: client.get(reverse("data:prompts", args=[filled.slug]), {"q": query}).context["listing"].count
        for query in ("heißt der Käse", "“tea”", "k1", "nothing like it", "%", "_", "content", "BOIL")
    }
    assert found == {
        "heißt der Käse": 1,
        "“tea”": 1,
        "k1": 1,
        "nothing like it": 0,
        "%": 0,
        "_": 0,
        "content": 0,
        "BOIL": 1,
    }


def test_demonstrations_are_found_by_either_side(client, filled, max_):
    client.force_login(max_)
    for query, count in (("boil", 1), ("THREE", 1), ("salt", 0)):
        address = reverse("data:demonstrations", args=[filled.slug])
        assert client.get(address, {"q": query}).context["listing"].count == count, query


def test_filters_go_by_split_set_kind_and_import(client, filled, max_):
    client.force_login(max_)
    address = reverse("data:prompts", args=[filled.slug])
    demonstrations = PromptSet.objects.get(purpose="sft")
    comparisons = Import.objects.get(kind="comparisons")
    for query, texts in (
        ({"set": demonstrations.pk}, ["Boil?"]),
        ({"import": comparisons.pk}, ["Milk?"]),
        ({"split": "test", "q": "Käse"}, ["Wie heißt der Käse?"]),
        ({"kind": "few-shot"}, []),
    ):
        rows = client.get(address, query).context["rows"]
        assert [row["text"] for row in rows] == texts, query


def test_a_prompts_page_shows_it_as_annotators_see_it_and_what_its_file_said(client, pages, ruth, max_):
    client.force_login(ruth)
    text = client.get(pages["data:prompt"]).content.decode()
    assert "Wie heißt der Käse?" in text and "k1" in text and "&quot;colour&quot;: &quot;green&quot;" in text
    assert "prompts.jsonl" in text and "Test" in text
    shown = client.get(pages["data:demonstration"]).content.decode()
    assert "<strong>three</strong>" in shown and "Boil?" in shown
    assert "CC0" in client.get(pages["data:text"]).content.decode()


def test_only_managers_read_who_wrote_a_response(client, filled, ruth, max_):
    address = reverse("data:prompt", args=[filled.slug, Prompt.objects.get(messages__0__content="Milk?").pk])
    for person, told in ((ruth, False), (max_, True)):
        client.force_login(person)
        text = client.get(address).content.decode()
        assert ("pairs.jsonl (Import)" in text) is told
    # “yes” came in first; for who may judge them their place says nothing.
    client.force_login(ruth)
    shown = client.get(address).context["responses"]
    assert [row.text for _, row in shown] == ["no", "yes"]
