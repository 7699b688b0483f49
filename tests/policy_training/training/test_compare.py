"""A policy beside another one and beside given answers: who wins by reward and by a judge, and a run that goes on."""

import json

import pytest
import torch

from learning.interface.options import UserError
from learning.interface.training_options import ModelSource
from learning.models.files import save_model
from learning.models.loading import load_policy
from policy_training.training.config import ServedSamplingOptions
from policy_training.training.evaluation import compare, compared_answers
from policy_training.training.evaluation.config import ComparePoliciesConfig, Contestant
from rewardmodel.training.scoring import RewardScorer
from tests.policy_training.training.conftest import BATCH, FRESH, create_run, in_process, prompt_rows
from tests.policy_training.training.model_servers import environment_for, serving
from tests.policy_training.training.test_judging import options, reply, shown, verdict


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


def test_what_cannot_be_compared_is_refused(tmp_path, policy_path, reward_model_path):
    with pytest.raises(ValueError, match="others is empty"):
        config(policy_path, [], reward_model_path)
    with pytest.raises(ValueError, match="two have the same name"):
        config(policy_path, [folder("a", policy_path), folder("a", policy_path)], reward_model_path)
    nobody = create_run(
        tmp_path / "run", "compare", config(policy_path, [Contestant(name="x")], reward_model_path),
        prompts=prompt_rows(1),
    )  # fmt: skip
    with pytest.raises(UserError, match="x: has no answer to any of the prompts"):
        in_process(compare, ComparePoliciesConfig, nobody)
