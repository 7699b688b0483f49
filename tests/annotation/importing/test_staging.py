import tracemalloc

import pytest

from annotation.importing.readers.judgments import ImportedJudgment
from annotation.importing.staging import Staging, unpack_task


def judgment(number, annotator="ada", responses=("a", "b"), **fields):
    return ImportedJudgment(
        prompt=[{"role": "user", "content": f"Q {number}?"}],
        responses=list(responses),
        ranks=[0, 1],
        strengths=[1],
        annotator=annotator,
        **fields,
    )


def test_judgments_of_the_same_question_are_one_task_in_the_order_tasks_begin():
    with Staging() as staging:
        for line, one in enumerate(
            [judgment(1), judgment(2), judgment(1, "bo", ("b", "a")), judgment(1, "cy")]
        ):
            staging.add_judgment(line, one)
        assert staging.group_into_tasks() == (4, 2, 2)
        tasks = list(map(unpack_task, staging.tasks()))
    assert [[one.annotator for one in task.judgments] for task in tasks] == [["ada", "bo", "cy"], ["ada"]]


def test_the_second_judgment_of_one_annotator_is_of_a_copy_of_the_task():
    with Staging() as staging:
        for line, annotator in enumerate(["ada", "bo", "ada", "ada"]):
            staging.add_judgment(line, judgment(1, annotator))
        assert staging.group_into_tasks() == (4, 3, 2)
        assert [[one.annotator for one in task.judgments] for task in map(unpack_task, staging.tasks())] == [
            ["ada", "bo"],
            ["ada"],
            ["ada"],
        ]


def test_two_names_of_one_person_are_one_person():
    with Staging() as staging:
        for line, annotator in enumerate([None, "import-kitchen", "bo"]):
            staging.add_judgment(line, judgment(1, annotator))
        staging.set_pseudonyms(
            {(None, "person"): "p", ("import-kitchen", "person"): "p", ("bo", "person"): "bo"}
        )
        assert staging.group_into_tasks() == (3, 2, 2)
        assert [[one.annotator for one in task.judgments] for task in map(unpack_task, staging.tasks())] == [
            [None, "bo"],
            ["import-kitchen"],
        ]


def test_a_bad_row_claims_nothing():
    with Staging() as staging:
        with pytest.raises(ValueError, match="bad"), staging.row_savepoint():
            staging.claim_id("x", 3)
            staging.add_judgment(3, judgment(1))
            raise ValueError("bad")
        with staging.row_savepoint():
            assert staging.claim_id("x", 9) is None
        assert staging.claim_id("x", 10) == 9
        assert staging.group_into_tasks()[0] == 0


def test_what_differs_in_purpose_or_id_is_another_task():
    with Staging() as staging:
        for line, fields in enumerate(
            [{}, {"purpose": "head_to_head"}, {"task_id": "7"}, {"prompt_id": "p"}]
        ):
            staging.add_judgment(line, judgment(1, **fields))
        assert staging.group_into_tasks()[1] == 4


def test_an_id_is_taken_once():
    with Staging() as staging:
        assert staging.claim_id("x", 3) is None
        assert staging.claim_id("x", 9) == 3


def test_rows_wait_on_disk_not_in_memory():
    tracemalloc.start()
    with Staging() as staging:
        for line in range(800):
            staging.add_judgment(line, judgment(line, responses=("a" * 10_000, "b" * 10_000)))
        staging.group_into_tasks()
        assert sum(1 for _ in staging.tasks()) == 800
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024  # of 16 MB
