"""A policy beside another one and beside given answers: who wins by reward and by a judge, and a run that goes on."""

import json
from dataclasses import replace

import pytest
import torch

from learning.interface.options import UserError
from learning.interface.record_files import read_records
from learning.interface.record_schemas import SAMPLED_RESPONSES
from learning.interface.training_options import ModelSource
from learning.models.files import save_model
from learning.models.loading import load_policy
from policy_training.training.config import ServedSamplingOptions
from policy_training.training.evaluation import compare, compared_answers
from policy_training.training.evaluation.config import (
    ComparePoliciesConfig,
    Contestant,
    FurtherRewardModel,
)
from policy_training.training.judge_config import CHAT
from rewardmodel.training.scoring import RewardScorer
from tests.policy_training.training.conftest import BATCH, FRESH, create_run, in_process, prompt_rows
from tests.policy_training.training.model_servers import environment_for, serving
from tests.policy_training.training.test_judging import options, reply, shown, verdict
from tests.policy_training.training.test_reward_sources import direct, foreign_model_path  # noqa: F401


@pytest.fixture
def other_path(tmp_path, tokenizer):
    torch.manual_seed(7)
    save_model(load_policy(ModelSource(from_scratch=FRESH), tokenizer), tokenizer, tmp_path / "other")
    return tmp_path / "other"


def config(policy, others, reward_model_path, **further):
    return ComparePoliciesConfig(
        policy=ModelSource(path=str(policy)), reward_model_path=str(reward_model_path), others=tuple(others),
        sampling=ServedSamplingOptions(temperature=2.0), batch=BATCH, **further,
    )  # fmt: skip


def folder(name, path):
    return Contestant(name=name, source=ModelSource(path=str(path)))


def test_who_wins_and_the_other_way_round_it_is_who_loses(
    tmp_path, policy_path, other_path, reward_model_path, monkeypatch
):
    """A judge that likes "zzz", and what is later in the alphabet; it says nothing clear of one prompt."""

    def judge(number, path, body):
        if "please? 1" in body["messages"][1]["content"]:
            return reply("Hm.")
        first, second = shown(body)
        return verdict("A" if (first == "zzz", first) > (second == "zzz", second) else "B")

    rows = [row | {"tags": ["even" if n % 2 == 0 else "odd"]} for n, row in enumerate(prompt_rows(6))]
    given = [{"contestant": 1, "prompt_id": f"p{n}", "text": "zzz"} for n in (0, 2, 3)]
    given.append({"contestant": 1, "prompt_id": "p0", "text": "the second one is not read"})
    asked = {"judge": options(attempts_to_understand=1, price_prompt=2.0)}
    with serving(judge) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        there = create_run(
            tmp_path / "there", "compare",
            config(policy_path, [folder("prompt", other_path), Contestant(name="people")], reward_model_path, **asked),
            prompts=rows, answers=given,
        )  # fmt: skip
        found = in_process(compare, ComparePoliciesConfig, there)
        requests = len(server.requests)
        back = create_run(
            tmp_path / "back", "compare",
            config(other_path, [folder("step", policy_path)], reward_model_path, **asked), prompts=rows,
        )  # fmt: skip
        # It was killed when the answers were there: it goes on, asks for verdicts and draws nothing anew.
        monkeypatch.setattr(compare, "judge_against", lambda *args: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            in_process(compare, ComparePoliciesConfig, back)
        monkeypatch.undo()
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        kept = (back.path / "answers/0.parquet").read_bytes()
        monkeypatch.setattr(
            compared_answers, "evaluate_policy", lambda *args, **further: pytest.fail("drawn again")
        )
        turned = in_process(compare, ComparePoliciesConfig, back)
        assert (back.path / "answers/0.parquet").read_bytes() == kept
    [b, people], [a] = found["others"], turned["others"]
    # Whatever the others are called, each of their answers stands under its name.
    assert there.samples()[0]["others"].keys() == {"prompt", "people"} == {b["name"], people["name"]}
    assert there.samples()[0]["others"]["people"] == "zzz" and there.samples()[1]["others"].keys() == {
        "prompt"
    }
    for by in ("by_reward", "by_judge"):
        assert (b[by]["win"], b[by]["tie"], b[by]["lose"]) == (a[by]["lose"], a[by]["tie"], a[by]["win"])
        assert b[by]["win"] + b[by]["tie"] + b[by]["lose"] == (6 if by == "by_reward" else 5)
        assert sum(own["win"] for own in b[by]["by_tag"].values()) == b[by]["win"]
        assert b[by]["share"] == pytest.approx(1 - a[by]["share"])
    assert b["by_judge"]["unclear"] == 1 and b["by_judge"]["by_tag"].keys() == {"even", "odd"}
    assert b["difference"]["value"] == pytest.approx(-a["difference"]["value"])
    assert b["difference"]["value"] == pytest.approx(found["policy"]["score"] - b["score"])
    assert b["score"] == pytest.approx(turned["policy"]["score"]) and b["kl"] is not None
    assert (people["prompts"], people["by_judge"]["lose"], people.get("kl")) == (3, 3, None)
    # Of each prompt, for who chooses between policies: people's answer won wherever it was.
    judged, others_words = json.loads((there.path / "judged.json").read_bytes())
    assert others_words == {"p0": -1, "p2": -1, "p3": -1} and judged["p1"] is None
    assert list(judged.values()).count(1) == b["by_judge"]["win"] and len(judged) == 6
    assert found["judge"]["requests"] == requests and found["judge"]["cost"] == pytest.approx(
        requests * 200 / 1e6
    )


def test_given_answers_are_read_as_the_reward_model_reads_judged_ones(
    tmp_path, policy_path, reward_model_path
):
    """A call as a call, and one that was cut off without an end."""
    turns = [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "name": "look", "arguments": "{}"}]},
        {"role": "tool", "content": "zz", "tool_call_id": "1"},
        {"role": "assistant", "content": "zzz"},
    ]
    answers = [
        {"contestant": 0, "prompt_id": "p0", "text": "zzz"},
        {"contestant": 1, "prompt_id": "p0", "text": "zzz", "ended": False},
        {"contestant": 2, "prompt_id": "p0", "text": json.dumps(turns), "turns": turns},
    ]
    names = [Contestant(name=name) for name in ("whole", "cut", "called")]
    run = create_run(
        tmp_path / "run", "compare", config(policy_path, names, reward_model_path),
        prompts=prompt_rows(1), answers=answers,
    )  # fmt: skip
    found = in_process(compare, ComparePoliciesConfig, run)
    scorer = RewardScorer.load(reward_model_path, batch=BATCH)
    [expected] = scorer.score(
        [prompt_rows(1)[0]["messages"]], [["zzz", "zzz", turns]], ended=[[True, False, True]]
    )
    assert [other["score"] for other in found["others"]] == pytest.approx(expected, abs=1e-5)
    assert len({round(score, 5) for score in expected}) == 3


def test_each_reward_model_says_who_wins_on_answers_that_were_drawn_once(
    tmp_path,
    policy_path,
    other_path,
    reward_model_path,
    foreign_model_path,  # noqa: F811
    monkeypatch,
):
    """Each asked by itself for the scores of the texts, and won, tied and lost counted by hand."""
    drawn = []
    evaluate_policy = compared_answers.evaluate_policy

    def counted(*args, **further):
        drawn.append(args)
        return evaluate_policy(*args, **further)

    monkeypatch.setattr(compared_answers, "evaluate_policy", counted)
    further = (FurtherRewardModel(name="harmless", path=str(foreign_model_path)),)
    asked = config(
        policy_path,
        [folder("other", other_path), Contestant(name="people")],
        reward_model_path,
        further_reward_models=further,
    )
    given = [{"contestant": 1, "prompt_id": "p1", "text": "zzz"}]
    run = create_run(tmp_path / "run", "compare", asked, prompts=prompt_rows(6), answers=given)
    found = in_process(compare, ComparePoliciesConfig, run)
    assert len(drawn) == 2
    own, theirs = (
        list(read_records(run.path / f"answers/{number}.parquet", SAMPLED_RESPONSES)) for number in (-1, 0)
    )
    people = [{"prompt": prompt_rows(2)[1]["messages"], "text": "zzz", "ended": True}]
    differ = []
    for path, figures in (
        (reward_model_path, [found["policy"], *found["others"]]),
        (
            foreign_model_path,
            [found["policy"]["further"][0], *(other["further"][0] for other in found["others"])],
        ),
    ):
        ours, other, wrote = direct(path, own), direct(path, theirs), direct(path, people)
        assert figures[0]["score"] == pytest.approx(ours.mean(), abs=1e-5)
        assert figures[1]["score"] == pytest.approx(other.mean(), abs=1e-5)
        assert figures[2]["score"] == pytest.approx(wrote.mean(), abs=1e-5)
        assert figures[1]["difference"]["value"] == pytest.approx((ours - other).mean(), abs=1e-5)
        won = figures[1]["by_reward"]
        assert (won["win"], won["lose"]) == ((ours > other).sum(), (ours < other).sum())
        assert figures[2]["by_reward"]["win"] == (ours[1] > wrote[0])
        differ.append(figures[1]["score"])
    assert abs(differ[0] - differ[1]) > 1e-3
    assert [model["name"] for model in found["further_reward_models"]] == ["harmless"]
    # Killed at its end it reads the answers again, with every model's scores.
    monkeypatch.setattr(
        compared_answers, "evaluate_policy", lambda *args, **further: pytest.fail("drawn again")
    )
    again = in_process(compare, ComparePoliciesConfig, run)
    assert again["others"] == found["others"] and again["policy"] == found["policy"]


def test_every_reward_model_scores_an_outside_models_answers(
    tmp_path,
    policy_path,
    reward_model_path,
    foreign_model_path,  # noqa: F811
    monkeypatch,
):
    """Each asked by itself for the scores of the texts, of which one was cut off, and won and lost counted by hand."""

    def answer(number, path, body):
        said = body["messages"][-1]["content"]
        ends = "length" if said.endswith(" 1") else "stop"
        choice = {"message": {"content": f"The owl is kind. {said}"}, "finish_reason": ends}
        return 200, {}, json.dumps({"choices": [choice]}).encode()

    rows = prompt_rows(3)
    asked = config(
        policy_path,
        [Contestant(name="gpt-x", outside_model="gpt-x")],
        reward_model_path,
        further_reward_models=(FurtherRewardModel(name="harmless", path=str(foreign_model_path)),),
        outside=replace(CHAT, name="toy", attempts=1),
    )
    run = create_run(tmp_path / "run", "compare", asked, prompts=rows)
    with serving(answer) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        found = in_process(compare, ComparePoliciesConfig, run)
    # Started again it reads the answers, with the scores by both: the server is gone.
    again = in_process(compare, ComparePoliciesConfig, run)
    assert (again["policy"], again["others"]) == (found["policy"], found["others"])
    own = list(read_records(run.path / "answers/-1.parquet", SAMPLED_RESPONSES))
    theirs = [
        {
            "prompt": row["messages"],
            "text": f"The owl is kind. {row['messages'][-1]['content']}",
            "ended": n != 1,
        }
        for n, row in enumerate(rows)
    ]
    [outside], policy = found["others"], found["policy"]
    for path, ours, figures in (
        (reward_model_path, policy, outside),
        (foreign_model_path, policy["further"][0], outside["further"][0]),
    ):
        of_policy, of_outside = direct(path, own), direct(path, theirs)
        assert ours["score"] == pytest.approx(of_policy.mean(), abs=1e-5)
        assert figures["score"] == pytest.approx(of_outside.mean(), abs=1e-5)
        assert figures["difference"]["value"] == pytest.approx((of_policy - of_outside).mean(), abs=1e-5)
        won = figures["by_reward"]
        assert (won["win"], won["lose"]) == ((of_policy > of_outside).sum(), (of_policy < of_outside).sum())
    assert abs(outside["score"] - outside["further"][0]["score"]) > 1e-3
    assert found["outside_server"]["answers"] == 3


def test_what_cannot_be_compared_is_refused(tmp_path, policy_path, reward_model_path):
    with pytest.raises(ValueError, match="others is empty"):
        config(policy_path, [], reward_model_path)
    with pytest.raises(ValueError, match="two have the same name"):
        config(policy_path, [folder("a", policy_path), folder("a", policy_path)], reward_model_path)
    twice = (FurtherRewardModel(name="again", path=str(reward_model_path)),)
    with pytest.raises(ValueError, match="one stands twice"):
        config(policy_path, [folder("a", policy_path)], reward_model_path, further_reward_models=twice)
    many = tuple(FurtherRewardModel(name=f"m{n}", path=f"/x/{n}") for n in range(16))
    with pytest.raises(ValueError, match="at most 15, found 16"):
        config(policy_path, [folder("a", policy_path)], reward_model_path, further_reward_models=many)
    nobody = create_run(
        tmp_path / "run", "compare", config(policy_path, [Contestant(name="x")], reward_model_path),
        prompts=prompt_rows(1),
    )  # fmt: skip
    with pytest.raises(UserError, match="x: has no answer to any of the prompts"):
        in_process(compare, ComparePoliciesConfig, nobody)
