"""Prompts that are almost the same share a side, where the project asks for it; the numbers are worked out by hand."""

import json
import random

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from rensa import RMinHash

from annotation.content import near_duplicates as grouping
from annotation.content import waiting_groups
from annotation.content.actions import add_prompts
from annotation.content.near_duplicates import (
    ALGORITHM_VERSION,
    MAX_CANDIDATES,
    MAX_COMPARED_CHARACTERS,
    comparable_text,
    keys_of_texts,
    similarity,
)
from annotation.content.waiting_groups import group_waiting_prompts, waiting_for_groups
from annotation.datasets.actions import freeze_dataset
from annotation.datasets.files import dataset_manifest
from annotation.exporting.actions import export_preferences
from annotation.importing.actions import import_comparisons, take_back_import
from annotation.importing.contents.actions import import_prompts
from annotation.models import Import, Prompt, PromptGroupKey
from learning.interface.vocabulary import SPLITS
from workspace.project_settings import set_splits

BREAD = "How do I bake a loaf of rye bread in a small oven without a tin?"
BREAD_2 = "how do I bake a loaf of rye bread in a small oven, without a tin!!"  # punctuation and case alone
BREAD_3 = "Hi! How do I bake a loaf of rye bread in a small oven without a tin?"
SOUP = "Which herbs go into a leek soup that has to stand over night?"


def test_similarity_is_that_of_the_sets_of_five_letters():
    # "abcdefg" has abcde, bcdef, cdefg; "abcdefh" shares the first two of its three.
    assert similarity("abcdefg", "abcdefh") == 2 / 4
    assert similarity("abc", "abc") == 1 and similarity("abc", "abd") == 0


@given(st.text(min_size=1), st.text(min_size=1))
def test_similarity_is_symmetric_and_1_for_the_same(one, other):
    assert similarity(one, other) == similarity(other, one) <= similarity(one, one) == 1


def test_the_keys_that_databases_hold_stay_what_they_are():
    """Another algorithm of the library finds no stored group again: its keys have to be made anew by a migration."""
    assert RMinHash.ALGORITHM_VERSION == ALGORITHM_VERSION
    (keys,) = keys_of_texts(["how do i boil an egg"])
    assert keys[:2] == [-4046228369199567985, -2912945814277775359]


def test_so_much_of_a_text_is_compared_and_no_more():
    long = "Read this: " + "the same words again and again, " * 100_000
    text = comparable_text([{"role": "user", "content": long}])
    assert len(text) == MAX_COMPARED_CHARACTERS and text.startswith("read this the same words again and")
    # Also without a word in it, and with one word that has no end.
    assert len(comparable_text([{"role": "user", "content": "?!" * 50_000}])) == MAX_COMPARED_CHARACTERS
    assert comparable_text([{"role": "user", "content": "x" * 50_000}]) == "x" * MAX_COMPARED_CHARACTERS


def test_keys_are_the_same_however_many_texts_come_at_once(monkeypatch):
    texts = [f"{number} {variants(number)[0]}" for number in range(20)]
    together = list(keys_of_texts(texts))
    monkeypatch.setattr(grouping, "CHARACTERS_AT_ONCE", 100)
    assert list(keys_of_texts(texts)) == together and len(together) == 20


def test_a_band_is_shared_as_often_as_the_formula_of_banding_says():
    """At a similarity of s: 1 - (1 - s^4)^8, that is 0.985 at 0.8 and 0.9998 at 0.9; 0.06 at 0.3."""
    rng = random.Random(3)
    letters = "abcdefghijklmnopqrstuvwxyz"
    found = {True: [0, 0], False: [0, 0]}
    for _ in range(1500):
        one = "".join(rng.choice(letters) for _ in range(120))
        # n letters changed, far apart, take 5 n of 116 grams from either side: s = (116 - 5n) / (116 + 5n).
        for n, alike in ((2, True), (12, False)):
            other = list(one)
            for place in range(n):
                other[5 + place * 9] = "é"
            keys = list(keys_of_texts([one, "".join(other)]))
            found[alike][0] += bool(set(keys[0]) & set(keys[1]))
            found[alike][1] += 1
    # s = 106 / 126 = 0.841 -> 0.9962; s = 56 / 176 = 0.318 -> 0.0789. Four standard deviations of 1,500.
    assert abs(found[True][0] / found[True][1] - 0.9962) < 0.0064
    assert abs(found[False][0] / found[False][1] - 0.0789) < 0.028


db = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def together(project, max_):
    """Half train, half test, so that two prompts lie apart as often as not."""
    changed = set_splits(
        actor=max_, project=project, train_share=0.5, validation_share=0, test_per_tag={},
        near_duplicates_together=True,
    )  # fmt: skip
    project.refresh_from_db()
    return changed


def asks(text, **fields):
    return {"messages": [{"role": "user", "content": text}]} | fields


def sides(project):
    return {p.messages[0]["content"]: p.split for p in Prompt.objects.filter(project=project)}


def variants(number):
    """Two texts of 60 letters that differ in the last: 55 of 57 grams are shared, a similarity of 0.965."""
    rng = random.Random(number)
    stem = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(60))
    return f"{stem}x", f"{stem}y"


class TestInTheProject:
    pytestmark = db

    def test_near_duplicates_share_a_side_whenever_they_come(self, project, max_, together):
        pairs = [variants(number) for number in range(40)]
        add_prompts(actor=max_, project=project, rows=[asks(one) for one, _ in pairs])
        first = sides(project)
        add_prompts(actor=max_, project=project, rows=[asks(other) for _, other in pairs])
        found = sides(project)
        assert all(found[one] == found[other] for one, other in pairs)
        assert {text: found[text] for text in first} == first
        assert set(found.values()) == {"train", "test"}
        assert Prompt.objects.values("group_hash").distinct().count() == 40
        assert PromptGroupKey.objects.count() == 40 * 8

    def test_without_being_asked_prompts_are_on_their_own_sides(self, project, max_):
        rows = [asks(text) for number in range(60) for text in variants(number)]
        set_splits(actor=max_, project=project, train_share=0.5, validation_share=0, test_per_tag={})
        add_prompts(actor=max_, project=project, rows=rows)
        found = sides(project)
        apart = sum(found[one] != found[other] for one, other in map(variants, range(60)))
        assert 15 < apart < 45  # binomial: 30, four standard deviations are 15
        assert not PromptGroupKey.objects.exists()
        assert set(Prompt.objects.values_list("group_hash", flat=True)) == {None}

    def test_what_was_there_before_keeps_its_side_and_draws_others(self, project, max_):
        pairs = [variants(number) for number in range(30)]
        add_prompts(actor=max_, project=project, rows=[asks(one) for one, _ in pairs])
        before = sides(project)
        set_splits(
            actor=max_, project=project, train_share=0.1, validation_share=0, test_per_tag={},
            near_duplicates_together=True,
        )  # fmt: skip
        add_prompts(actor=max_, project=project, rows=[asks(other) for _, other in pairs])
        found = sides(project)
        assert {text: found[text] for text in before} == before
        assert all(found[other] == before[one] for one, other in pairs)

    def test_no_chain_of_small_changes_makes_a_group(self, project, max_, together):
        """Each is 0.86 like the one before; the second is in the first one's group, the third is not like the first."""
        rng = random.Random(5)
        letters = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(96))
        texts = [letters[n * 7 :] + "zyxwvut" * n for n in range(3)]
        add_prompts(actor=max_, project=project, rows=[asks(text) for text in texts])
        first, second, third = Prompt.objects.order_by("pk")
        assert similarity(texts[0], texts[1]) >= 0.8 > similarity(texts[0], texts[2])
        assert first.group_hash == second.group_hash == first.first_turn_hash
        assert third.group_hash == third.first_turn_hash

    def test_a_published_split_wins_and_draws_those_without_one(self, project, max_, together, tmp_path):
        """Also those that stand earlier in the file, in another chunk."""
        rows = [{"prompt": BREAD}]
        rows += [{"prompt": f"{number} {variants(number)[0]}"} for number in range(1000, 1700)]
        rows += [{"prompt": BREAD_2, "split": "validation"}, {"prompt": BREAD_3, "split": "test"}]
        rows += [{"prompt": SOUP}]
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        report = import_prompts(actor=max_, project=project, path=path)
        found = sides(project)
        assert (found[BREAD], found[BREAD_2], found[BREAD_3]) == ("validation", "validation", "test")
        assert report.counts["new prompts that are almost the same as another"] == 2

    def test_a_group_counts_once_among_those_held_out(self, project, max_, tmp_path):
        set_splits(
            actor=max_, project=project, train_share=0.9, validation_share=0, test_per_tag={"*": 5},
            near_duplicates_together=True,
        )  # fmt: skip
        project.refresh_from_db()
        path = tmp_path / "rows.jsonl"
        rows = [{"prompt": text, "tags": ["a"]} for number in range(30) for text in variants(number)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        import_prompts(actor=max_, project=project, path=path)
        held_out = Prompt.objects.filter(split="test")
        assert held_out.count() == 10 and held_out.values("group_hash").distinct().count() == 5

    def test_a_group_whose_first_prompt_was_taken_back_lives_on(self, project, max_, together, tmp_path):
        path = tmp_path / "rows.jsonl"
        path.write_text(json.dumps({"prompt": BREAD, "split": "test"}))
        report = import_prompts(actor=max_, project=project, path=path)
        take_back_import(actor=max_, imported=Import.objects.get(pk=report.import_id))
        add_prompts(actor=max_, project=project, rows=[asks(BREAD_3, split="validation")])
        add_prompts(actor=max_, project=project, rows=[asks(BREAD_2)])
        assert sides(project) == {BREAD_2: "validation", BREAD_3: "validation"}

    def test_the_manifest_says_the_share(self, project, max_, criterion, together, tmp_path):
        pairs = [variants(number) for number in range(3)]
        rows = [(text, None) for pair in pairs for text in pair]
        rows += [(BREAD, "train"), (BREAD_3, "test"), (SOUP, None), (SOUP, None)]
        path = tmp_path / "rows.jsonl"
        path.write_text(
            "".join(
                json.dumps({"prompt": text, "chosen": f"a {place}", "rejected": "b", "split": split}) + "\n"
                for place, (text, split) in enumerate(rows)
            )
        )
        import_comparisons(actor=max_, project=project, path=path, format="trl")
        dataset = freeze_dataset(actor=max_, project=project)
        said = dataset_manifest(dataset)["near_duplicates"]
        # Nine prompts: three pairs and the two of bread are almost the same, the soup is alone.
        assert (said["prompts"], said["near_duplicates"], said["share"]) == (9, 8, round(8 / 9, 6))
        assert said["groups_on_two_sides"] == 1
        manifest = export_preferences(actor=max_, dataset=dataset, out=tmp_path / "out", format="trl")
        assert manifest["near_duplicates"] == said
        card = (tmp_path / "out" / "README.md").read_text()
        assert "8 of the 9 prompts with judgments (88.9%)" in card
        assert set(manifest["counts"]) & set(SPLITS)


def groups(project):
    return {p.messages[0]["content"]: p.group_hash for p in Prompt.objects.filter(project=project)}


def wordy(number):
    """A family of texts by its number: some are alike, some share a band and are not, some have nothing in common."""
    rng = random.Random(number % 7)
    letters = [rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(100)]
    changes = random.Random(number)
    for place in changes.sample(range(100), k=changes.choice([0, 1, 2, 3, 6])):
        letters[place] = "é"
    return "".join(letters)


class TestThoseThatWereThereBefore:
    pytestmark = db

    @pytest.fixture
    def ask_for_groups(self, project, max_):
        def ask():
            set_splits(
                actor=max_, project=project, train_share=0.5, validation_share=0, test_per_tag={},
                near_duplicates_together=True,
            )  # fmt: skip
            project.refresh_from_db()

        return ask

    def test_a_request_groups_some_of_them_and_the_worker_the_rest(
        self, project, max_, ask_for_groups, monkeypatch
    ):
        monkeypatch.setattr(waiting_groups, "PROMPTS_WITHIN_A_REQUEST", 10)
        monkeypatch.setattr(waiting_groups, "PROMPTS_PER_TRANSACTION", 8)
        monkeypatch.setattr(waiting_groups, "PROMPTS_PER_TICK", 16)
        pairs = [variants(number) for number in range(30)]
        add_prompts(actor=max_, project=project, rows=[asks(one) for one, _ in pairs])
        before = sides(project)
        assert group_waiting_prompts() == 0  # nobody has asked
        ask_for_groups()
        add_prompts(actor=max_, project=project, rows=[asks(pairs[0][1]), asks(pairs[29][1])])
        grouped = Prompt.objects.exclude(group_hash=None)
        # The ten oldest, and of the new ones that which is like one of them; the other one waits its turn.
        assert list(grouped.order_by("pk").values_list("pk", flat=True)) == [
            prompt.pk for prompt in Prompt.objects.order_by("pk") if prompt.messages[0]["content"] in
            {one for one, _ in pairs[:10]} | {pairs[0][1]}
        ]  # fmt: skip
        assert sides(project)[pairs[0][1]] == before[pairs[0][0]]
        assert group_waiting_prompts() == 16 and group_waiting_prompts() == 5
        assert group_waiting_prompts() == 0 and not waiting_for_groups(project).exists()
        found = groups(project)
        assert found[pairs[29][1]] == found[pairs[29][0]] and len(set(found.values())) == 30
        assert {text: side for text, side in sides(project).items() if text in before} == before

    def test_the_groups_are_the_same_whatever_is_grouped_at_once(
        self, project, olga, max_, ask_for_groups, monkeypatch
    ):
        texts = [wordy(number) for number in range(120)]
        texts = list(dict.fromkeys(texts))
        other = olga.memberships.get().project
        for of in (project, other):
            of.near_duplicates_together = True
            of.save(update_fields=["near_duplicates_together"])
        # One after the other, from the first on: what the others have to come to.
        for text in texts:
            add_prompts(actor=olga, project=other, rows=[asks(text)])
        expected = groups(other)
        assert 7 <= len(set(expected.values())) < len(texts)
        project.near_duplicates_together = False
        project.save(update_fields=["near_duplicates_together"])
        add_prompts(actor=max_, project=project, rows=[asks(text) for text in texts[:70]])
        ask_for_groups()
        monkeypatch.setattr(waiting_groups, "PROMPTS_WITHIN_A_REQUEST", 9)
        monkeypatch.setattr(waiting_groups, "PROMPTS_PER_TRANSACTION", 7)
        monkeypatch.setattr(waiting_groups, "PROMPTS_PER_TICK", 14)
        monkeypatch.setattr(grouping, "CHARACTERS_AT_ONCE", 500)
        for start in range(70, len(texts), 13):
            add_prompts(actor=max_, project=project, rows=[asks(text) for text in texts[start : start + 13]])
            group_waiting_prompts()
        while group_waiting_prompts():
            pass
        assert groups(project) == expected
        stored = PromptGroupKey.objects.values_list("prompt__first_turn_hash", "key")
        assert set(stored.filter(project=project)) == set(stored.filter(project=other))

    def test_rows_of_one_request_share_a_side_though_they_wait(
        self, project, max_, ask_for_groups, monkeypatch
    ):
        monkeypatch.setattr(waiting_groups, "PROMPTS_WITHIN_A_REQUEST", 1)
        add_prompts(actor=max_, project=project, rows=[asks(variants(number)[0]) for number in range(5)])
        ask_for_groups()
        pairs = [variants(number) for number in range(100, 140)]
        add_prompts(actor=max_, project=project, rows=[asks(text) for pair in pairs for text in pair])
        found = sides(project)
        assert all(found[one] == found[other] for one, other in pairs)
        assert waiting_for_groups(project).count() == 4 + 80

    def test_a_request_compares_no_more_than_so_many_texts_of_so_many_letters(
        self, project, max_, ask_for_groups, monkeypatch
    ):
        """Texts that share one band and are not alike are the worst: each is a candidate for the next one."""
        long = "".join(random.Random(1).choice("abcdefghij ") for _ in range(60_000))
        add_prompts(actor=max_, project=project, rows=[asks(f"{n} {long}") for n in range(40)])
        ask_for_groups()
        monkeypatch.setattr(grouping, "keys_of_texts", lambda texts: ([1, *range(n, n + 7)] for n in
                            range(10, 10 + 7 * len(texts), 7)))  # fmt: skip
        monkeypatch.setattr(grouping, "SIMILARITY", 0.99999)
        made = []
        real = grouping.letter_grams
        monkeypatch.setattr(grouping, "letter_grams", lambda text: made.append(len(text)) or real(text))
        monkeypatch.setattr(waiting_groups, "CHARACTERS_WITHIN_A_REQUEST", 200_000)
        monkeypatch.setattr(waiting_groups, "PROMPTS_PER_TRANSACTION", 10)
        add_prompts(actor=max_, project=project, rows=[asks(SOUP)])
        assert Prompt.objects.exclude(group_hash=None).count() == 10
        assert max(made) == MAX_COMPARED_CHARACTERS

    def test_a_prompt_is_compared_with_the_oldest_of_its_candidates(
        self, project, max_, together, monkeypatch
    ):
        monkeypatch.setattr(grouping, "keys_of_texts", lambda texts: ([1] for _ in texts))
        rng = random.Random(2)
        texts = [
            "".join(rng.choice("abcdefghijklmnop") for _ in range(80)) for _ in range(MAX_CANDIDATES + 10)
        ]
        add_prompts(actor=max_, project=project, rows=[asks(text) for text in texts])
        add_prompts(actor=max_, project=project, rows=[asks(f"{text}x") for text in texts])
        found = groups(project)
        near = [found[f"{text}x"] == found[text] for text in texts]
        assert near == [True] * MAX_CANDIDATES + [False] * 10

    def test_what_another_worker_has_grouped_meanwhile_is_left_alone(
        self, project, max_, ask_for_groups, monkeypatch
    ):
        add_prompts(actor=max_, project=project, rows=[asks(variants(number)[0]) for number in range(5)])
        ask_for_groups()
        real = grouping.PromptGroups.groups_of_texts

        def overtaken(self, texts, **options):
            monkeypatch.setattr(grouping.PromptGroups, "groups_of_texts", real)
            assert group_waiting_prompts() == 5
            return real(self, texts, **options)

        monkeypatch.setattr(grouping.PromptGroups, "groups_of_texts", overtaken)
        assert group_waiting_prompts() == 0
        assert PromptGroupKey.objects.count() == 5 * 8

    def test_the_page_the_import_and_the_manifest_say_that_some_wait(
        self, project, max_, criterion, ask_for_groups, tmp_path, client, monkeypatch
    ):
        monkeypatch.setattr(waiting_groups, "PROMPTS_WITHIN_A_REQUEST", 2)
        rows = [{"prompt": text, "chosen": "a", "rejected": "b"} for text in (BREAD, SOUP, *variants(1))]
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        import_comparisons(actor=max_, project=project, path=path, format="trl")
        ask_for_groups()
        later = tmp_path / "later.jsonl"
        later.write_text(json.dumps({"prompt": BREAD_2}) + "\n" + json.dumps({"prompt": "Another one?"}))
        report = import_prompts(actor=max_, project=project, path=later)
        assert report.counts["new prompts that are almost the same as another"] == 1
        assert any("are still being grouped" in note for note in report.notes)
        client.force_login(max_)
        page = reverse("annotation:settings", args=[project.slug])
        assert "3 prompts wait for their group" in " ".join(client.get(page).content.decode().split())
        dataset = freeze_dataset(actor=max_, project=project)
        assert dataset_manifest(dataset)["near_duplicates"]["waiting"] == 2
        export_preferences(actor=max_, dataset=dataset, out=tmp_path / "out", format="trl")
        assert "2 of the prompts were not compared yet" in (tmp_path / "out" / "README.md").read_text()
        while group_waiting_prompts():
            pass
        assert "wait for their group" not in client.get(page).content.decode()
        again = dataset_manifest(freeze_dataset(actor=max_, project=project))["near_duplicates"]
        assert "waiting" not in again and again["near_duplicates"] == 2
