"""What verdicts on pairs come to, by hand and by property; and a judge's run that is killed and goes on."""

from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.interface.options import UserError
from learning.interface.record_files import read_records, write_records
from learning.interface.record_schemas import JUDGE_TASKS, JUDGED_TASKS
from learning.run_context import StopRequested
from policy_training.training.evaluation import judge_tasks
from policy_training.training.evaluation.config import JudgeTasksConfig
from policy_training.training.evaluation.pair_verdicts import (
    judged_report,
    pair_outcomes,
    repeat_outcomes,
    tiers_of,
)
from policy_training.training.rewards.judging import Comparison, Judged, both_orders
from policy_training.training.servers.requests import Usage
from tests.policy_training.training.conftest import create_run, in_process
from tests.policy_training.training.model_servers import environment_for, serving
from tests.policy_training.training.test_judging import HOSTILE, PROMPT, options, reply, shown, verdict

SWAPPED = {"A": "B", "B": "A", "TIE": "TIE", None: None}


def judged(verdicts, size=2):
    """`verdicts` in the order of both_orders, of one task."""
    asked = both_orders([size], len(verdicts) // (size * (size - 1)))
    return {
        one: Judged(verdict=said, usage=Usage(prompt_tokens=10, completion_tokens=1), requests=1, seconds=0.5)
        for one, said in zip(asked, verdicts, strict=True)
    }


@pytest.mark.parametrize(
    ("said", "repeats", "outcome"),
    [
        ("AB", [1], 1),  # the earlier answer in both orders
        ("BA", [-1], -1),
        ("AA", [0], 0),  # whatever is shown first
        ("BB", [0], 0),
        ("AT", [0], 0),
        ("TT", [0], 0),
        ("A?", [None], None),
        ("??", [None], None),
        ("ABA?", [1, None], 1),
        ("ABABBA", [1, 1, -1], 1),
        ("ABBA", [1, -1], 0),
        ("BAAA", [-1, 0], -1),
    ],
)
def test_orders_that_disagree_are_a_tie_and_repeats_are_a_majority(said, repeats, outcome):
    found = judged([{"A": "A", "B": "B", "T": "TIE", "?": None}[sign] for sign in said])
    assert repeat_outcomes(found) == {(0, 0, 1): repeats}
    assert pair_outcomes(found) == {(0, 0, 1): outcome}


@pytest.mark.parametrize(
    ("outcomes", "tiers"),
    [
        ({(0, 1): 1, (0, 2): 1, (1, 2): 1}, [[0], [1], [2]]),
        ({(0, 1): -1, (0, 2): 0, (1, 2): 1}, [[1], [2, 0]]),  # points -1, 2, -1
        ({(0, 1): 1, (0, 2): -1, (1, 2): 1}, [[0, 1, 2]]),  # a circle
        ({(0, 1): 0, (0, 2): 1, (1, 2): 1}, [[0, 1], [2]]),
        ({(0, 1): 1, (0, 2): None, (1, 2): 1}, None),
    ],
)
def test_pairs_make_an_order_or_none(outcomes, tiers):
    found = tiers_of(outcomes, 3)
    assert (found and [sorted(tier) for tier in found]) == (tiers and [sorted(tier) for tier in tiers])


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.integers(1, 3), st.data())
def test_with_the_answers_of_every_task_turned_round_wins_are_losses(size, repeats, data):
    """The same verdicts on the same texts, whose places are others."""
    asked = both_orders([size, size], repeats)
    said = {one: data.draw(st.sampled_from(["A", "B", "TIE", None])) for one in asked}
    plain = {one: Judged(verdict=said[one], usage=Usage(), requests=1) for one in asked}
    turned = {
        Comparison(
            prompt=one.prompt, first=size - 1 - one.first, second=size - 1 - one.second, repeat=one.repeat
        ): judged
        for one, judged in plain.items()
    }
    turned = {one: turned[one] for one in asked}
    before, after = pair_outcomes(plain), pair_outcomes(turned)
    for (task, low, high), outcome in before.items():
        other = after[task, size - 1 - high, size - 1 - low]
        assert other == (None if outcome is None else -outcome)
    left, right = judged_report(plain, [size, size]), judged_report(turned, [size, size])
    for name, figure in left.items():
        if isinstance(figure, dict):
            assert figure == pytest.approx(right[name]), name
        else:
            assert (
                figure == pytest.approx(right[name]) if isinstance(figure, float) else figure == right[name]
            )
    # And a verdict for the other one of each pair, in place: wins become losses as well.
    mirrored = {
        one: Judged(verdict=SWAPPED[found.verdict], usage=Usage(), requests=1) for one, found in plain.items()
    }
    for pair, outcome in pair_outcomes(mirrored).items():
        assert outcome == (None if before[pair] is None else -before[pair])


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_judge_with_a_true_order_finds_it_in_whatever_order_the_answers_stand(order):
    verdicts = ["A" if order[one.first] < order[one.second] else "B" for one in both_orders([3], 1)]
    found = {(low, high): outcome for (_, low, high), outcome in pair_outcomes(judged(verdicts, 3)).items()}
    tiers = tiers_of(found, 3)
    assert [[order[place] for place in tier] for tier in tiers] == [[0], [1], [2]]


def test_the_report_says_how_steady_the_judge_is():
    # Twice in each order: 0 wins, then the order decides. A judge that likes the first: 3 of 4 verdicts are for it.
    report = judged_report(judged(["A", "B", "A", "A"]), [2])
    assert (report["tasks"], report["judged"], report["ties"], report["tie_rate"]) == (1, 1, 0, 0.0)
    assert report["order_rate"] == 0.5
    assert report["first_share"]["value"] == 0.75
    assert report["self_agreement"]["value"] == 0.5  # the same in one order, another in the other
    assert (report["requests"], report["prompt_tokens"], report["judge_seconds"]) == (4, 40, 2.0)
    circle = {(0, 1): "AB", (0, 2): "BA", (1, 2): "AB"}
    verdicts = [
        circle[min(a, b), max(a, b)][a > b] for a, b in ((c.first, c.second) for c in both_orders([3], 1))
    ]
    assert judged_report(judged(verdicts, 3), [3])["against_the_order"] == 3
    mute = judged_report(judged([None, "B"]), [2])
    assert (mute["unclear"], mute["unclear_pairs"], mute["tie_rate"], mute["not_understood"]) == (
        1,
        1,
        None,
        1,
    )
    assert mute["self_agreement"] is None and mute["order_rate"] is None


def task_rows():
    groups = [["good", "poor"], ["poor", "fair", "good"], ["mute", "good"], [HOSTILE[0], "good"]]
    return [
        {
            "task": 70 + number,
            "prompt": PROMPT,
            "responses": group,
            "response_keys": [10 * number + place for place in range(len(group))],
        }
        for number, group in enumerate(groups)
    ]


def test_tasks_are_judged_and_a_run_killed_in_the_middle_asks_nothing_twice(tmp_path, monkeypatch):
    rank = {"good": 3, "fair": 2, "poor": 1}

    def judge(number, path, body):
        first, second = shown(body)
        if "mute" in (first, second):
            return reply("I cannot say.")
        better = rank.get(first, 0) > rank.get(second, 0)
        return verdict("A" if better else "B")

    config = JudgeTasksConfig(judge=options(repeats=2, attempts_to_understand=1, price_reply=15.0))
    rows = task_rows()
    pairs = sum(len(list(combinations(row["responses"], 2))) for row in rows)
    run = create_run(tmp_path / "run", "judge_tasks", config, tasks=rows)

    def stop(self):
        raise StopRequested("killed")

    with serving(judge) as server, monkeypatch.context() as killed:
        for name, value in environment_for(server.address, "sk-1").items():
            monkeypatch.setenv(name, value)
        killed.setattr("learning.run_context.RunContext.stop_if_requested", stop)
        with pytest.raises(StopRequested):
            in_process(judge_tasks, JudgeTasksConfig, run)
    kept = (run.path / "verdicts.jsonl").read_bytes()
    whole = kept.count(b"\n") - 1
    assert 0 <= whole < pairs * 4 - 1
    (run.path / "verdicts.jsonl").write_bytes(kept[:-7])  # and the machine stopped in the middle of a line
    with serving(judge) as server:
        monkeypatch.setenv("ROUNDTABLE_MODEL_SERVERS", f"toy={server.address}")
        in_process(judge_tasks, JudgeTasksConfig, run)
        assert len(server.requests) == pairs * 2 * 2 - whole
    result = run.result()
    found = {row["task"]: row["tiers"] for row in read_records(run.path / "judged.parquet", JUDGED_TASKS)}
    assert found == {70: [[0], [1]], 71: [[12], [11], [10]], 72: None, 73: [[31], [30]]}
    assert (result["judged"], result["unclear"], result["ties"], result["order_rate"]) == (3, 1, 0, 0.0)
    assert result["self_agreement"]["value"] == 1.0 and result["not_understood"] == 4
    assert result["cost"] == pytest.approx(result["reply_tokens"] * 15 / 1e6)
    assert b"sk-1" not in b"".join(path.read_bytes() for path in run.path.rglob("*") if path.is_file())


def test_a_judge_that_says_nothing_at_all_ends_the_run(tmp_path, monkeypatch):
    with serving(lambda number, path, body: reply("Hm.")) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        run = create_run(
            tmp_path / "run", "judge_tasks", JudgeTasksConfig(judge=options()), tasks=task_rows()[:1]
        )
        with pytest.raises(UserError, match="gave no verdict in any of 2 comparisons"):
            in_process(judge_tasks, JudgeTasksConfig, run)


def test_rows_that_are_no_tasks_are_refused(tmp_path):
    with pytest.raises(UserError, match="responses"):
        write_records(
            tmp_path / "tasks.parquet", [{"task": 1, "prompt": PROMPT, "response_keys": [1]}], JUDGE_TASKS
        )
