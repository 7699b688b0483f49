"""The figures of a dataset, against judgments few enough to be counted by hand."""

import pytest

from annotation.content.actions import get_or_create_source
from annotation.datasets.actions import freeze_dataset, remember_statistics
from annotation.datasets.files import dataset_comparisons, dataset_judgments
from annotation.datasets.statistics import dataset_statistics
from annotation.preferences.comparisons import is_counted, pair_preferences
from tests.annotation.datasets.conftest import judge_all
from tests.annotation.exporting.conftest import ranked_rows

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def few(project, max_, make_batch, make_annotators):
    """Three people, three tasks, five judgments: see the figures below."""
    one, two, three = make_annotators(3)
    pairs = make_batch(tasks=2, overlap=3, name="pairs", texts=("ab", "abcd"), round_number=2)
    ranking = make_batch(tasks=1, responses_per_task=3, name="ranking", texts=("x", "xx", "xxx"))
    other = get_or_create_source(actor=max_, project=project, kind="policy", name="another")
    project.responses.filter(text="ab").update(source=other)
    first, second = pairs.tasks.order_by("pk")
    judge_all(max_, pairs, [
        (first, one, [[0], [1]], [2]), (first, two, [[0], [1]], [None]), (first, three, [[0, 1]], []),
        (second, one, [[1], [0]], [3]),
    ])  # fmt: skip
    judge_all(max_, ranking, [(ranking.tasks.get(), one, [[2], [0, 1]], [1])])
    return freeze_dataset(actor=max_, project=project)


def test_every_figure_is_the_one_counted_by_hand(few):
    found = dataset_statistics(few)
    assert found["counts"] == {
        "judgments": 5, "counted": 5, "superseded": 0, "withdrawn": 0, "surplus": 0,
        "groups": 3, "pairs": 7, "ties": 2, "annotators": 3,
    }  # fmt: skip
    assert found["grades"] == {"not_said": 1, "0": 0, "1": 2, "2": 1, "3": 1}
    assert found["annotator_kinds"] == {"person": {"judgments": 5, "annotators": 3}}
    assert found["judgments_per_annotator"] == {"least": 1, "median": 1, "most": 3}
    assert found["batches"] == [
        {"batch": "pairs", "round": 2, "judgments": 4},
        {"batch": "ranking", "round": None, "judgments": 1},
    ]
    assert sum(found["days"].values()) == 5
    # Two of three pairs of people differ on the first task: one called a tie.
    assert found["agreement"]["groups"] == 1
    assert found["agreement"]["mean"] == pytest.approx(1 / 3)
    assert [low for low, number in found["agreement"]["from"].items() if number] == ["0.2"]
    # Answers of 2, 4, 2, 4, 1, 2, 3 characters; of the pairs decided, the longer one won 1 + 2 of 5.
    assert found["characters"] | {"from": None} == {
        "answers": 7, "mean": pytest.approx(18 / 7), "median": 2.0, "from": None,
        "pairs_of_two_lengths": 5, "longer_preferred": 3,
    }  # fmt: skip
    assert found["characters"]["from"]["0"] == 7
    assert found["sources"] == [
        {"source": "policy", "policy": "secret-policy-7b", "pairs": 10, "wins": 1, "ties": 1, "losses": 2},
        {"source": "policy", "policy": "another", "pairs": 4, "wins": 2, "ties": 1, "losses": 1},
    ]


def test_what_does_not_count_is_told_apart(project, max_, make_batch, ada):
    batch = make_batch(tasks=2)
    first, second = batch.tasks.order_by("pk")
    judge_all(max_, batch, [(first, ada, [[0], [1]], [1]), (second, ada, [[0], [1]], [1])])
    withdrawn = first.judgments.get()
    first.judgments.create(
        assignment=withdrawn.assignment, annotator=ada, supersedes=withdrawn, order_shown=withdrawn.order_shown,
        tiers=withdrawn.tiers, strengths=[1], settings_version=1, guideline_version=1, withdrawn=True,
        idempotency_key="take it back",
    )  # fmt: skip
    first.current_judgments.update(judgment=first.judgments.order_by("-pk")[0])
    found = dataset_statistics(freeze_dataset(actor=max_, project=project))["counts"]
    assert (found["judgments"], found["superseded"], found["withdrawn"], found["counted"]) == (3, 1, 1, 1)
    assert (found["groups"], found["pairs"]) == (1, 1)


def test_rankings_with_ties_are_counted_as_one_by_one(project, max_, bring, monkeypatch):
    """Beside the rows themselves, pair by pair; and the same in parts of seven rows."""
    bring(list(ranked_rows(80)), "ranked")
    dataset = freeze_dataset(actor=max_, project=project)
    said = [
        preference
        for row in dataset_judgments(dataset)
        if is_counted(row)
        for preference in pair_preferences(row).values()
    ]
    found = dataset_statistics(dataset)
    assert (found["counts"]["pairs"], found["counts"]["ties"]) == (len(said), sum(p.sign == 0 for p in said))
    decided = [p.strength for p in said if p.sign]
    assert found["grades"] == {
        "not_said": decided.count(None), **{str(strength): decided.count(strength) for strength in range(4)}
    }  # fmt: skip
    monkeypatch.setattr("annotation.datasets.statistics.ROWS_AT_ONCE", 7)
    assert dataset_statistics(dataset) == found


def test_agreement_is_that_of_the_consensus(project, max_, make_batch, make_annotators):
    people = make_annotators(4)
    batch = make_batch(tasks=6, overlap=4, responses_per_task=3)
    orders = [[[0], [1], [2]], [[1], [0, 2]], [[2], [1], [0]], [[0, 1, 2]], [[0, 1], [2]]]
    judge_all(max_, batch, [
        (task, person, tiers := orders[(number * 3 + place * 2) % 5], [1] * (len(tiers) - 1))
        for number, task in enumerate(batch.tasks.order_by("pk"))
        for place, person in enumerate(people)
    ])  # fmt: skip
    dataset = freeze_dataset(actor=max_, project=project)
    rows = [row["agreement"] for row in dataset_comparisons(dataset, consensus=True)]
    found = dataset_statistics(dataset)["agreement"]
    assert found["groups"] == 6
    assert found["mean"] == pytest.approx(sum(rows) / 6)


def test_figures_are_counted_once(few, monkeypatch):
    found = remember_statistics(few)
    few.refresh_from_db()
    monkeypatch.setattr("annotation.datasets.actions.dataset_statistics", None)
    assert remember_statistics(few) == found


def test_kinds_of_annotators_agree_among_themselves_alone(project, max_, make_batch, ada):
    from workspace.accounts import create_machine_annotator

    robot = create_machine_annotator(actor=max_, project=project, name="robot", kind="simulated")
    batch = make_batch(tasks=1, overlap=2)
    task = batch.tasks.get()
    judge_all(max_, batch, [(task, ada, [[0], [1]], [1]), (task, robot, [[1], [0]], [1])])
    dataset = freeze_dataset(actor=max_, project=project, annotator_kinds=("person", "simulated"))
    found = dataset_statistics(dataset)
    assert (found["counts"]["groups"], found["agreement"]["groups"]) == (2, 0)
    assert found["characters"]["answers"] == 2  # of the task, once
