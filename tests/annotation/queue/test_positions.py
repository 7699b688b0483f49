from collections import Counter
from types import SimpleNamespace

import pytest

from annotation.queue.positions import Kind, kind_at, tasks_ahead

ANN, BEN = SimpleNamespace(pk=1), SimpleNamespace(pk=2)


def project(gold, repeats, pk=7):
    return SimpleNamespace(pk=pk, gold_share=gold, repeat_share=repeats)


@pytest.mark.parametrize(("gold", "repeats"), [(0.05, 0.04), (0.5, 0.2), (0.001, 0), (0, 0.03)])
def test_of_each_hundred_tasks_so_many_are_special_at_places_of_the_persons_own(gold, repeats):
    def kinds(person, start):
        return [kind_at(project(gold, repeats), person, start + place) for place in range(100)]

    for start in (0, 100, 5_200):
        counted = Counter(kinds(ANN, start))
        assert counted[Kind.GOLD] == (max(1, round(100 * gold)) if gold else 0)
        assert counted[Kind.REPEAT] == round(100 * repeats)
    assert kinds(ANN, 0) == kinds(ANN, 0)
    assert len({tuple(kinds(person, start)) for person in (ANN, BEN) for start in (0, 100)}) == 4


@pytest.mark.parametrize(("gold", "repeats"), [(0, 0), (0.05, 0.04), (0.5, 0.2)])
def test_what_is_ahead_is_what_a_walk_over_the_places_finds(gold, repeats):
    for start in (0, 7, 99, 130):
        for usual in (0, 1, 3, 28, 92, 93, 250, 777):
            position = start
            left = usual
            while left:
                left -= kind_at(project(gold, repeats), ANN, position) is Kind.USUAL
                position += 1
            assert tasks_ahead(project(gold, repeats), ANN, start, usual) == position - start
