"""Policies beside each other: page, command and API ask for the same, people compare the same answers, and what came of
it stands on one page; a training's checkpoints likewise.
"""

from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.content.actions import (
    NewDemonstration,
    NewResponse,
    add_demonstrations,
    add_responses,
    get_or_create_source,
)
from annotation.models import Prompt, Task
from learning.interface.record_files import write_records
from learning.interface.record_schemas import SAMPLED_RESPONSES
from policy_training.comparing import actions, presentation
from policy_training.comparing.kind import COMPARE
from policy_training.comparing.presentation import Verdicts
from policy_training.models import PolicyComparison
from rewardmodel.models import RewardModel
from runs.models import Artifact, Run
from tests.annotation.datasets.conftest import judge_all
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.test_merging import other  # noqa: F401
from tests.policy_training.training.conftest import reward_model_path  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset, model  # noqa: F401
from workspace.actions import add_criterion

pytestmark = [pytest.mark.db, pytest.mark.django_db]
SERVED = {"sampling.server.name": "toy", "sampling.repetition_penalty_scope": "prompt_and_response"}
ADDRESS = "/api/v1/projects/kitchen/policy-comparisons"


@pytest.fixture
def prompt_set(project, write_rows):
    rows = [
        {"prompt": f"Which animal is {n}?", "split": "test", "tags": ["odd" if n % 2 else "even"]}
        for n in range(3)
    ]
    call_command(
        "import_prompts", "kitchen", write_rows(rows, "asked.jsonl"), "--prompt-set", "asked", verbosity=0
    )
    return project.prompt_sets.get(name="asked")


@pytest.fixture
def given(project, max_, prompt_set):
    """An outside model's answers to two prompts, and what a person wrote to the third."""
    source = get_or_create_source(actor=max_, project=project, kind="import", name="outside-1")
    prompts = list(Prompt.objects.filter(prompt_sets=prompt_set).order_by("pk"))
    rows = [NewResponse(prompt=prompt, source=source, text="A fox.") for prompt in prompts[:2]]
    add_responses(actor=max_, project=project, rows=rows)
    demonstration = NewDemonstration(prompt=prompts[2], text="An owl.")
    add_demonstrations(actor=max_, project=project, rows=[demonstration])
    return source


@pytest.fixture
def kind_model(project, model, criterion, max_):  # noqa: F811
    """A reward model that learned another criterion than the fixture `model`, which learns `criterion`."""
    model.criteria.add(criterion)
    made = RewardModel.objects.create(
        project=project, name="kind", dataset=model.dataset,
        artifact=Artifact.objects.create(
            project=project, kind="reward_model", path="models/kind", sha256="3" * 64, size_bytes=1
        ),
        produced_by=Run.objects.create(
            project=project, kind="rewardmodel.train", title="Train kind", config={}, requested_by=max_
        ),
    )  # fmt: skip
    made.criteria.add(
        add_criterion(actor=max_, project=project, name="kindness", question="Which is kinder?")
    )
    return made


def test_page_command_and_api_ask_for_the_same(
    client, policy, other, model, kind_model, project, prompt_set, given, criterion, max_, settings  # noqa: F811
):  # fmt: skip
    settings.MODEL_SERVERS = {"toy": "http://127.0.0.1:9/v1"}
    client.force_login(max_)
    address = reverse("policies:compare", args=["kitchen"])
    models = {"policy": policy.pk, "reward_model": model.pk, "prompt_set": prompt_set.pk}
    asked = shown(client, address, preset="secrets", **models) | {
        "others": [other.pk], "sources": [given.pk], "with_reference": "on", "criteria": [criterion.pk],
        "overlap": "2", "server": "toy", "model": "judge-1", "judge.repeats": "2", **SERVED,
        "further_reward_models": [kind_model.pk], "outside_server": "toy", "outside_models": "gpt-x, m/1",
    }  # fmt: skip
    assert "kind (kindness)" in client.get(address).content.decode()
    preview = client.get(address, asked | {"part": "preview"}).content.decode()
    assert ">3<" in preview and "The texts of the prompts go to the server “toy”" in preview
    run = started(client.post(address, asked))
    assert (run.config["sampling"]["top_p"], run.config["sampling"]["temperature"]) == (0.9, 0.8)
    call_command(
        "compare_policies", "kitchen", "tiny", "--with", other.name, "--sources", "outside-1", "--with-reference",
        "--criteria", criterion.name, "--overlap", "2", "--reward-model", model.name, "--prompt-set", "asked",
        "--further-reward-model", "kind", "--server", "toy", "--model", "judge-1", "--preset", "secrets",
        "--outside-server", "toy", "--outside-models", "gpt-x", "m/1", "--set", "judge.repeats=2",
        *(f"{path}={value}" for path, value in SERVED.items()), stdout=StringIO(),
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    body = {
        "policy": policy.pk, "others": [other.pk], "sources": [given.pk], "with_reference": True, "overlap": 2,
        "criteria": [criterion.name], "reward_model": model.pk, "prompt_set": prompt_set.pk, "server": "toy",
        "model": "judge-1", "settings": {"judge.repeats": 2, **SERVED}, "preset": "secrets",
        "further_reward_models": [kind_model.pk], "outside_server": "toy", "outside_models": ["gpt-x", "m/1"],
    }  # fmt: skip
    answer = client.post(ADDRESS, body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))
    again = client.get(address, {"run": run.pk}).context["form"]
    assert again["others"].value() == [other.pk] and "question" in again.fields
    assert again["further_reward_models"].value() == [kind_model.pk]
    assert [one["name"] for one in run.config["further_reward_models"]] == ["kind"]
    page = client.post(address, asked | {"further_reward_models": [kind_model.pk, model.pk]})
    assert page.status_code == 422 and "scores the answers already" in str(
        page.context["form"].errors["further_reward_models"]
    )
    answer = client.post(
        ADDRESS, body | {"further_reward_models": [model.pk]}, content_type="application/json"
    )
    assert answer.status_code == 400 and answer.json()["code"] == "same_reward_model", answer.content
    assert (again["outside_server"].value(), again["outside_models"].value()) == ("toy", "gpt-x, m/1")
    assert [one["outside_model"] for one in run.config["others"]] == ["", "", "gpt-x", "m/1", ""]
    assert run.config["policy_name"] == "tiny" and run.config["sampling"]["server"]["name"] == "toy"
    assert not [name for name in again.fields if name.endswith("criterion")]  # it is asked once
    inputs = COMPARE.build_inputs(run)
    assert [(row["contestant"], row["text"]) for row in inputs["answers"][0]] == [
        (1, "A fox."), (1, "A fox."), (4, "An owl."),
    ]  # fmt: skip
    for wrong, said in (
        ({"outside_server": ""}, "give both, or neither"),
        ({"outside_models": ""}, "give both, or neither"),
        ({"outside_models": "x" * 121}, "at most 120 characters"),
        ({"sampling.server.name": "away"}, "“away” is not one of this site"),
        ({"sampling.repetition_penalty_scope": "response"}, "servers penalise the prompt"),
    ):
        page = client.post(address, asked | wrong)
        assert page.status_code == 422 and said in page.content.decode()
    assert client.post(address, asked | {"model": ""}).status_code == 422
    assert client.post(address, asked | {"others": [policy.pk]}).status_code == 422
    no_judge = asked | {"server": "", "model": ""}
    page = client.post(address, no_judge)
    assert page.status_code == 422 and "no server of a judge is named" in page.content.decode()
    page = client.post(address, no_judge | {"judge.repeats": "1", "question": "Which is kinder?"})
    assert page.status_code == 422 and "A question is for a judge" in str(
        page.context["form"].errors["question"]
    )
    page = client.post(address, asked | {"criteria": []})
    assert page.status_code == 422 and "choose one" in str(page.context["form"].errors["criteria"])
    nobody = {
        "judge.repeats": "1",
        "criteria": [],
        "overlap": "",
        "others": [],
        "sources": [],
        "outside_server": "",
        "outside_models": "",
        "with_reference": "",
        "model": "",
        "server": "",
    }
    page = client.post(address, asked | nobody)
    assert page.status_code == 422 and "one to 20 others" in page.content.decode()
    assert "No file has brought answers of “x”" in refused(
        "compare_policies",
        "kitchen",
        "tiny",
        "--sources",
        "x",
        "--reward-model",
        model.name,
        "--prompt-set",
        "asked",
    )
    arguments = ("--with", other.name, "--reward-model", model.name, "--prompt-set", "asked")
    assert "no reward model “x”" in refused(
        "compare_policies", "kitchen", "tiny", *arguments, "--further-reward-model", "x"
    )


def counts(win, tie, lose, **further):
    return {"win": win, "tie": tie, "lose": lose, "by_tag": {}} | further


def finished(run, tmp_path, settings, texts):
    """The run's folder as the program leaves it: `texts` of each policy's answers."""
    run.directory = f"compared-{run.pk}"
    run.save()
    folder = run.path / "answers"
    folder.mkdir(parents=True)
    for number, said in texts.items():
        rows = [
            {
                "response_id": f"{number}-{prompt_id}", "prompt_id": prompt_id,
                "prompt": [{"role": "user", "content": "?"}], "text": text, "source": "policy", "policy": None,
                "sampling": None, "ended": True, "created_at": "2026-01-01T00:00:00+00:00", "turns": None,
                "token_ids": [1], "logprobs": [-1.0],
            }
            for prompt_id, text in said.items()
        ]  # fmt: skip
        write_records(folder / f"{number}.parquet", rows, SAMPLED_RESPONSES)


def test_people_compare_the_same_answers_and_all_stands_on_one_page(
    client, policy, other, model, project, prompt_set, given, criterion, max_, ruth, ada, tmp_path, settings,  # noqa: F811
    monkeypatch,
):  # fmt: skip
    run = actions.compare_policies(
        actor=max_, project=project, policy=policy, others=[other], sources=[given], with_reference=True,
        reward_model=model, prompt_set=prompt_set, config=actions.comparison_config(), criteria=[criterion],
    )  # fmt: skip
    ids = run.parameters["prompt_ids"]
    theirs = dict(zip(ids, ("one", "two", "three"), strict=True))
    finished(
        run, tmp_path, settings, {-1: theirs | {ids[0]: "same"}, 0: theirs | {ids[0]: "same", ids[1]: "II"}}
    )
    shared = {"score": 1.0, "prompts": 3, "step": None}
    report = {
        "policy": {"score": 1.5},
        "others": [
            {"name": other.name, "kl": 2.0, "by_reward": counts(2, 0, 1, by_tag={"odd": counts(1, 0, 0)}),
             "by_judge": counts(1, 1, 0, unclear=1)} | shared,
            {"name": "outside-1", "by_reward": counts(0, 0, 2), "by_judge": None} | shared,
            {"name": actions.REFERENCE_NAME, "by_reward": counts(0, 1, 0), "by_judge": None} | shared,
        ],
    }  # fmt: skip
    for _ in range(2):  # a worker may be told twice
        COMPARE.save_result(run, report)
    comparison = PolicyComparison.objects.get()
    [batch] = comparison.batches.all()
    tasks = list(batch.tasks.order_by("pk"))
    # The answers that are the same are shown to nobody: one pair of policies, two with the outside model, one person's.
    assert len(tasks) == 4 and {task.purpose for task in tasks} == {Task.Purpose.HEAD_TO_HEAD}
    own = policy.source_id
    said = []
    for task in tasks:
        places = list(task.task_responses.order_by("position").values_list("response__source", flat=True))
        mine, is_tie = places.index(own), other.source_id in places
        said.append((task, ada, [[0, 1]] if is_tie else [[mine], [1 - mine]], [] if is_tie else [1]))
    judge_all(max_, batch, said)
    monkeypatch.setattr(presentation, "JUDGMENTS_AT_ONCE", 3)  # all are counted, in parts of three
    client.force_login(ruth)
    address = reverse("policies:comparison", args=["kitchen", comparison.pk])
    page = client.get(address)
    rows = {row["name"]: row["verdicts"] for row in page.context["rows"]}
    found = {
        name: [(one.win, one.tie, one.lose, one.unclear) for one in verdicts]
        for name, verdicts in rows.items()
    }
    assert found == {
        other.name: [(2, 0, 1, 0), (1, 1, 0, 1), (0, 1, 0, 0)],
        "outside-1": [(0, 0, 2, 0), (2, 0, 0, 0)],
        actions.REFERENCE_NAME: [(0, 1, 0, 0), (1, 0, 0, 0)],
    }
    assert [tag for tag, _ in rows["outside-1"][1].tags] == ["even", "odd"]
    assert rows["outside-1"][1].by_prompt == [(1.0, 1), (1.0, 1)]
    text = page.content.decode()
    assert "whose own mean score is 1.50" in text
    # (2 + 0) / 3, Wilson 1927.
    assert "67 % (21 to 94 %)" in text and f"people, on {criterion.name}" in text and batch.name in text
    assert address in client.get(reverse("policies:policy", args=["kitchen", policy.pk])).content.decode()
    row = client.get(ADDRESS, {"policy": policy.pk}).json()["results"][0]
    assert row["batches"] == [batch.pk] and row["report"]["others"][0]["by_judge"]["unclear"] == 1
    assert [other["equal_answers"] for other in comparison.report["others"]] == [2, 0, 0]
    assert "2 pairs have the same answer twice" in text
    told = client.get(f"{ADDRESS}/{comparison.pk}").json()["verdicts"]
    assert [
        (one["other"], one["by"], one["criterion"], one["win"], one["tie"], one["lose"], one["unclear"])
        for one in told
    ] == [
        (name, by, criterion.name if by == "people" else "", *figures)
        for name, rows_of_other in found.items()
        for by, figures in zip(
            ("reward_model", "judge", "people") if len(rows_of_other) == 3 else ("reward_model", "people"),
            rows_of_other,
            strict=True,
        )
    ]
    assert [one["equal_answers"] for one in told if one["by"] == "people"] == [2, 0, 0]
    # (2 + 0) / 3, Wilson 1927.
    assert told[0]["share"] == pytest.approx(2 / 3)
    assert (told[0]["low"], told[0]["high"]) == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert [(own["tag"], own["win"]) for own in told[4]["tags"]] == [("even", 1), ("odd", 1)]
    for absent in (
        client.get(f"{ADDRESS}/999"),
        client.get(reverse("policies:comparison", args=["kitchen", 999])),
    ):
        assert absent.status_code == 404


def test_peoples_intervals_are_over_prompts_and_verdicts_over_their_number():
    """Three people each on six prompts: shares of 18 judgments, and the percentiles of Binomial(6, 1/2) / 6."""
    won = [(3.0, 3)] * 3 + [(0.0, 3)] * 3
    people = Verdicts(by="people", win=9, tie=0, lose=9, by_prompt=won)
    assert people.share == 50.0 and people.interval == pytest.approx((100 / 6, 500 / 6))
    one_sided = Verdicts(
        by="people", win=7, tie=2, lose=3, by_prompt=[(3.0, 3), (2.0, 2), (2.5, 4), (0.5, 3)]
    )
    low, high = one_sided.interval
    assert one_sided.turned().interval == pytest.approx((100 - high, 100 - low), abs=8)
    # One verdict a prompt: Wilson 1927, 2 of 3.
    assert Verdicts(by="judge", win=2, tie=0, lose=1).interval == pytest.approx((20.77, 93.85), abs=0.01)


def test_a_training_is_evaluated_along_its_checkpoints(
    client, policy, model, project, prompt_set, max_, monkeypatch  # noqa: F811
):  # fmt: skip
    training = Run.objects.create(
        project=project, kind="policy.ppo", title="PPO: tiny to new", config={}, requested_by=max_,
        parameters={"parent": policy.pk}, directory="ppo",
    )  # fmt: skip
    client.force_login(max_)
    address = reverse("policies:along", args=["kitchen", training.pk])
    asked = shown(client, address, reward_model=model.pk, prompt_set=prompt_set.pk)
    page = client.post(address, asked)
    assert page.status_code == 422 and "The run has no checkpoint" in page.content.decode()
    kept = [SimpleNamespace(step=step, path=f"/x/step-{step}") for step in (20, 10)]
    monkeypatch.setattr(actions, "checkpoints", lambda run: kept)
    run = started(client.post(address, asked))
    assert [one["step"] for one in run.config["others"]] == [10, 20] and run.parameters[
        "of_run"
    ] == training.pk
    arguments = ["--reward-model", model.name, "--prompt-set", "asked"]
    call_command("evaluate_along", "kitchen", str(training.pk), *arguments, stdout=StringIO())
    assert same(run, Run.objects.latest("pk"))
    body = {"run": training.pk, "reward_model": model.pk, "prompt_set": prompt_set.pk}
    answer = client.post(f"{ADDRESS}/along", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))
    # No server has a checkpoint, and no model outside stands beside one.
    assert not [
        name
        for name in client.get(address).context["form"].fields
        if name.startswith(("sampling.server", "outside"))
    ]
    for words, said in (
        ("sampling.server.name", "no server has the checkpoints"),
        ("outside.name", "give both"),
    ):
        assert said in refused(
            "evaluate_along", "kitchen", str(training.pk), *arguments, "--set", f"{words}=toy"
        )
    # Of more than it compares so many: the first, the last, and those between evenly.
    many = [SimpleNamespace(step=step, path=f"/x/step-{step}") for step in range(39)]
    monkeypatch.setattr(actions, "checkpoints", lambda run: many)
    spread = started(client.post(address, asked))
    steps = [one["step"] for one in spread.config["others"]]
    assert (len(steps), steps[0], steps[-1], spread.parameters["kept"]) == (20, 0, 38, 39)
    assert steps == list(range(0, 39, 2))
    shared = {"prompts": 3, "by_judge": None}
    report = {"policy": {"score": 0.5}, "others": [
        {"name": "step 10", "step": 10, "score": 1.0, "kl": 0.5, "by_reward": counts(1, 0, 2)} | shared,
        {"name": "step 20", "step": 20, "score": 2.0, "kl": 1.5, "by_reward": counts(0, 0, 3)} | shared,
    ]}  # fmt: skip
    COMPARE.save_result(run, report)
    page = client.get(reverse("policies:comparison", args=["kitchen", PolicyComparison.objects.get().pk]))
    assert "that are kept" not in page.content.decode()
    # Of the start it lost 1 of 3 and none: the checkpoints won 2 of 3 and all.
    assert [row["verdicts"][0].share for row in page.context["rows"]] == [pytest.approx(200 / 3), 100.0]
    win_rate, reward, kl = page.context["pictures"]
    # 50, 67 and 100 of 100, 3 from each edge of 60
    assert win_rate.line == "2.00,30.00 50.00,21.00 98.00,3.00"
    assert (reward.first, reward.last, kl.last) == ("0.50", "2.00", "1.50")
    assert "no run 999" in refused("evaluate_along", "kitchen", "999", *arguments)
    Run.objects.filter(pk=training.pk).update(kind="policy.sft")
    call_command("evaluate_along", "kitchen", str(training.pk), *arguments, stdout=StringIO())
    assert Run.objects.latest("pk").config == spread.config
    config = {"model": {"source": {"hub_id": "org/base"}}}
    Run.objects.filter(pk=training.pk).update(parameters={"parent": None}, config=config)
    assert "started from no policy" in refused("evaluate_along", "kitchen", str(training.pk), *arguments)
    Run.objects.filter(pk=training.pk).update(kind="policy.sample")
    assert "trains no policy" in refused("evaluate_along", "kitchen", str(training.pk), *arguments)
