"""The model servers of a plan are asked when a round starts: on the form, in the API and by the command."""

import json
import socket
from dataclasses import replace

import pytest

from learning.interface.options import UserError
from policy_training.model_servers import ModelServerAway, require_answering_server
from rounds.forms import StartRoundForm
from rounds.models import Round
from rounds.plan_changes import with_steps
from rounds.plans import load_plan, preset_plan, with_assignments
from rounds.servers import NamedServer, servers_of
from rounds.steps import step_from_words
from tests.policy_training.training.model_servers import environment_for, serving
from tests.rounds.test_mixture_fields import WAYS
from tests.rounds.test_mixture_fields import asked as asked
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]
KEY = "sk-secret"


def listing(*models):
    rows = {"object": "list", "data": [{"id": model, "object": "model"} for model in models]}
    return 200, {"content-type": "application/json"}, json.dumps(rows).encode()


@pytest.fixture
def reachable(settings, monkeypatch):
    def reachable(address, key=KEY):
        settings.MODEL_SERVERS = {"toy": address}
        for name, value in environment_for(address, key).items():
            monkeypatch.setenv(name, value)

    return reachable


@pytest.fixture
def nobody(reachable):
    """A port that nobody listens on, for as long as the socket holds it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        reachable(f"http://127.0.0.1:{held.getsockname()[1]}/v1")
        yield


def test_servers_are_asked_for_after_what_every_round_has(project, settings):
    settings.MODEL_SERVERS = {"toy": "http://127.0.0.1:9/v1"}
    names = [field.name for field in StartRoundForm(project=project).main_fields()]
    assert names[:4] == ["preset", "criterion", "start_policy", "start_from"]
    assert names.index("prompt_set") < names.index("sampling_server") < names.index("processes")


def sampling(asked, **changed):
    return {**asked, "sampling_server": "toy", "sampling_model": "served-{policy}", **changed}


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_has_the_policy_is_asked_once_and_the_round_starts(
    client, project, criterion, asked, max_, reachable, way
):
    client.force_login(max_)
    with serving(lambda number, path, body: listing("other", "served-base")) as server:
        reachable(server.address)
        assert way(client, project, criterion, sampling(asked)) is None
        [(path, _, headers)] = server.requests
    assert (
        path == "/v1/models"
        and {name.lower(): value for name, value in headers.items()}["authorization"] == f"Bearer {KEY}"
    )
    options = load_plan(Round.objects.get().plan).sampling.options
    assert (options.server.name, options.server.model) == ("toy", "served-{policy}")


@pytest.mark.parametrize("way", WAYS)
def test_a_server_without_the_model_is_a_sentence_whatever_is_accepted(
    client, project, criterion, asked, max_, reachable, way
):
    client.force_login(max_)
    with serving(lambda number, path, body: listing("other")) as server:
        reachable(server.address)
        said = way(client, project, criterion, sampling(asked, servers_may_be_away=True))
    assert "has no model “served-base”; it has: other" in said and not Round.objects.exists()


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_does_not_answer_is_accepted_where_somebody_says_so(
    client, project, criterion, asked, max_, nobody, way
):
    client.force_login(max_)
    said = way(client, project, criterion, sampling(asked))
    assert "“toy” does not answer now" in said and KEY not in said and not Round.objects.exists()
    assert way(client, project, criterion, sampling(asked, servers_may_be_away=True)) is None
    assert load_plan(Round.objects.get().plan).servers_may_be_away


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {}, b"{}"), "refuses this site's key"),
        ((503, {}, b"busy"), "does not answer now (503)"),
        ((200, {}, b'{"data": []}'), "has no model “m”"),
        ((404, {}, b"no such path"), ""),  # it does not list its models: it is there
        ((200, {}, b"no JSON"), ""),
        ((302, {"location": "http://127.0.0.1/x"}, b""), ""),  # not followed
    ],
)
def test_what_a_server_says_of_its_models(reachable, answer, said):
    with serving(lambda number, path, body: answer) as server:
        reachable(server.address)
        if not said:
            require_answering_server("toy", ["m"])
        else:
            with pytest.raises(ActionError) as refused:
                require_answering_server("toy", ["m"])
            assert said in str(refused.value)
        assert len(server.requests) == 1


def test_a_key_that_only_the_workers_have_and_addresses_that_may_not_be_asked(
    reachable, settings, monkeypatch
):
    with serving(lambda number, path, body: (401, {}, b"{}")) as server:
        reachable(server.address, key="")
        require_answering_server("toy", ["m"])
        monkeypatch.setenv("ROUNDTABLE_MODEL_SERVERS_PRIVATE_ADDRESSES", "")
        with pytest.raises(ActionError, match="127.0.0.1 is no public address"):
            require_answering_server("toy", ["m"])
        assert len(server.requests) == 1
    with pytest.raises(ActionError, match="is not one of this site's") as refused:
        require_answering_server("x", [])
    assert not isinstance(refused.value, ModelServerAway)


def test_every_server_of_a_plan_is_asked_rollouts_and_judges_too(policy):
    plan = with_assignments(
        preset_plan("tiny"),
        [
            "sampling.options.server.name=answers",
            "sampling.options.server.model={policy}",
            'sampling.other_policies=["early"]',
            "policy.rollout.server.name=rollouts",
            "policy.rollout.server.weights=each_step",
            "policy.rewards.judge.server.name=answers",
            "policy.rewards.judge.server.model=judge-1",
        ],
    )
    assert servers_of(plan, policy) == [
        NamedServer("answers", frozenset({"base", "early", "judge-1"})),
        NamedServer("rollouts"),  # asked for folders of the run
    ]
    assert servers_of(plan, None)[0].models == {"early", "judge-1"}


def test_a_step_that_takes_candidates_from_a_server_is_asked_for_its_model(policy):
    step = ["best_of_n:tiny", "sampling.server.name=toy", "sampling.server.protocol=chat"]
    outside = [*step, "sampling.server.model=gpt-x", "candidates.server_answers=outside"]
    made = [*step, "sampling.server.model={policy}-served"]  # of a policy that is yet to be made
    plan = preset_plan("tiny")
    for words, models in ((outside, {"gpt-x"}), (made, set())):
        own = replace(plan, steps=(step_from_words(words, policy=plan.policy),))
        assert servers_of(own, policy) == [NamedServer("toy", frozenset(models))]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["other_policies=a", "sampling.server.protocol=chat", "candidates.server_answers=outside"],
            "the outside model answers alone",
        ),
        (["other_policies=a,b"], "write {policy} in it"),
    ],
)
def test_a_step_whose_server_cannot_answer_for_all_that_are_named_is_refused(words, said):
    step = ["best_of_n", "sampling.server.name=toy", "sampling.server.model=m", *words]
    with pytest.raises(UserError, match=said):
        step_from_words(step, policy=preset_plan("tiny").policy)


def test_a_fixed_model_does_not_answer_for_a_policy_that_is_yet_to_be_made():
    plan, server = preset_plan("tiny"), "sampling.server.name=toy"

    def chain(*words):
        return with_steps(plan, [step_from_words(step, policy=plan.policy) for step in words])

    fixed, named = [server, "sampling.server.model=m"], [server, "sampling.server.model={policy}"]
    chain(["best_of_n", *fixed], ["ppo"])  # m may be the policy that the round starts from
    said = r"steps\[1\].best_of_n.sampling.server.model is 'm'.*write {policy} in it"
    with pytest.raises(UserError, match=said):
        chain(["ppo"], ["best_of_n", *fixed])
    chain(["ppo"], ["best_of_n", *named])
    outside = ["sampling.server.protocol=chat", "candidates.server_answers=outside"]
    chain(["ppo"], ["best_of_n", *fixed, *outside])
