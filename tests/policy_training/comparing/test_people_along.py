"""Checkpoints of a training that people compare with its start: asked on page, by command and API, shown to annotators
without a word of whose answers they are, and drawn over the steps.
"""

from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.urls import reverse

from annotation.models import Source
from policy_training.comparing import actions
from policy_training.comparing.kind import COMPARE
from policy_training.models import Policy, PolicyComparison
from runs.models import Artifact, Run
from tests.annotation.datasets.conftest import judge_all
from tests.policy_training.comparing.test_comparing import ADDRESS, counts, finished, prompt_set  # noqa: F401
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.training.conftest import reward_model_path  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset, model  # noqa: F401
from workspace.members import set_role

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]


def keep(monkeypatch, steps):
    found = [SimpleNamespace(step=step, path=f"/x/step-{step}") for step in steps]
    monkeypatch.setattr(actions, "checkpoints", lambda run: found)


@pytest.fixture
def training(project, policy, max_, monkeypatch):
    keep(monkeypatch, (10, 20, 30))
    return Run.objects.create(
        project=project, kind="policy.ppo", title="PPO: tiny to new", config={}, requested_by=max_,
        parameters={"parent": policy.pk}, directory="ppo",
    )  # fmt: skip


def test_page_command_and_api_ask_people_about_the_same_checkpoints(
    client, training, model, prompt_set, criterion, max_, monkeypatch  # noqa: F811
):  # fmt: skip
    client.force_login(max_)
    address = reverse("policies:along", args=["kitchen", training.pk])
    assert "checkpoints of the steps 10, 20, 30" in client.get(address).content.decode()
    asked = shown(client, address, reward_model=model.pk, prompt_set=prompt_set.pk) | {
        "criteria": [criterion.pk], "overlap": "2", "steps": "30, 10",
    }  # fmt: skip
    preview = client.get(address, asked | {"part": "preview"}).content.decode()
    assert "Judgments of people against each" in preview and ">6<" in preview  # 3 prompts, two people each
    run = started(client.post(address, asked))
    assert [one["step"] for one in run.config["others"]] == [10, 20, 30]  # the reward model scores them all
    assert (run.parameters["people_steps"], run.parameters["overlap"]) == ([10, 30], 2)
    again = client.get(address, {"run": run.pk}).context["form"]
    assert (again["steps"].value(), again["criteria"].value()) == ("10 30", [criterion.pk])
    arguments = ["--reward-model", model.name, "--prompt-set", "asked"]
    people = ["--criteria", criterion.name, "--overlap", "2"]
    command = ("evaluate_along", "kitchen", str(training.pk), *arguments)
    call_command(*command, *people, "--steps", "10", "30", stdout=StringIO())
    assert same(run, Run.objects.latest("pk"))
    body = {
        "run": training.pk, "reward_model": model.pk, "prompt_set": prompt_set.pk, "criteria": [criterion.name],
        "overlap": 2, "steps": [10, 30],
    }  # fmt: skip
    answer = client.post(f"{ADDRESS}/along", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))
    for sent, field, words in (
        ({"steps": "15"}, "steps", "no checkpoint of step 15; it has 10, 20, 30"),
        ({"steps": "ten"}, "steps", "Write steps with spaces"),
        ({"criteria": [], "overlap": ""}, "steps", "choose one, or leave the steps out"),
        ({"criteria": [], "steps": ""}, "criteria", "no criterion on which people compare"),
    ):
        page = client.post(address, asked | sent)
        assert page.status_code == 422 and words in str(page.context["form"].errors[field])
    assert "no checkpoint of step 15" in refused(*command, *people, "--steps", "15")
    answer = client.post(f"{ADDRESS}/along", body | {"steps": [15]}, content_type="application/json")
    assert answer.status_code == 400 and answer.json()["code"] == "bad_steps"
    # Of more than are evaluated those that people compare are among them, and still the first and the last.
    keep(monkeypatch, range(39))
    call_command(*command, *people, "--steps", "3", "5", stdout=StringIO())
    steps = [one["step"] for one in Run.objects.latest("pk").config["others"]]
    assert len(steps) == 20 and {0, 3, 5, 38} <= set(steps) and steps == sorted(steps)
    many = [str(step) for step in range(21)]
    assert "at most 20 checkpoints" in refused(*command, *people, "--steps", *many)


@pytest.mark.parametrize(
    ("kept", "named", "said"),
    [
        (20, [3], None),
        (39, [], "20 of the 39 kept ones, spread evenly over the training."),
        (
            39,
            [3, 5],
            "20 of the 39 kept ones: those of the steps that were named (3, 5), the others spread evenly over the "
            "training.",
        ),
        (39, list(range(20)), "20 of the 39 kept ones, those of the steps that were named."),
    ],
)
def test_the_page_says_which_of_the_kept_checkpoints_were_evaluated(
    client, training, policy, project, model, prompt_set, criterion, max_, monkeypatch, kept, named, said  # noqa: F811
):  # fmt: skip
    keep(monkeypatch, range(kept))
    run = actions.evaluate_along_run(
        actor=max_, project=project, run=training, reward_model=model, prompt_set=prompt_set,
        config=actions.comparison_config(), criteria=[criterion] if named else [], steps=named,
    )  # fmt: skip
    figures = {"score": 1.0, "prompts": 3, "kl": 0.5, "by_reward": counts(1, 1, 1), "by_judge": None}
    others = [{"name": one["name"], "step": one["step"]} | figures for one in run.config["others"]]
    comparison = PolicyComparison.objects.create(
        project=project, policy=policy, reward_model=model, prompt_set="asked", of_run=training, produced_by=run,
        report={"policy": {"score": 0.5}, "others": others},
    )  # fmt: skip
    client.force_login(max_)
    page = client.get(reverse("policies:comparison", args=["kitchen", comparison.pk])).content.decode()
    assert (said in page) if said else ("kept ones" not in page)


def test_people_compare_checkpoints_blindly_and_their_curve_stands_beside_the_rewards(
    client, training, policy, project, model, prompt_set, criterion, max_, ruth, ada, make_user, tmp_path, settings,  # noqa: F811
    monkeypatch,
):  # fmt: skip
    made = Policy.objects.create(
        project=project, name="the end", report={"steps": 40}, produced_by=training,
        artifact=Artifact.objects.create(
            project=project, kind="policy", path="models/end", sha256="4" * 64, size_bytes=1
        ),
        source=project.sources.create(kind="policy", name="the end"),
    )  # fmt: skip
    run = actions.evaluate_along_run(
        actor=max_, project=project, run=training, reward_model=model, prompt_set=prompt_set,
        config=actions.comparison_config(), criteria=[criterion], steps=[10, 30, 40], overlap=2,
    )  # fmt: skip
    ids = run.parameters["prompt_ids"]
    texts = {
        number: {prompt_id: f"{text} {place}" for place, prompt_id in enumerate(ids)}
        for number, text in enumerate(("begun", "ten", "twenty", "thirty", "forty"), start=-1)
    }
    texts[0][ids[2]] = texts[-1][ids[2]]  # step 10 gives the start's answer to one prompt
    finished(run, tmp_path, settings, texts)
    shared = {"score": 1.0, "prompts": 3, "kl": 0.5, "by_reward": counts(1, 1, 1), "by_judge": None}
    report = {
        "policy": {"score": 0.5},
        "others": [
            {"name": name, "step": step} | shared
            for name, step in (("step 10", 10), ("step 20", 20), ("step 30", 30), ("the end", 40))
        ],
    }
    COMPARE.save_result(run, report)
    comparison = PolicyComparison.objects.get()
    assert [one["equal_answers"] for one in comparison.report["others"]] == [1, None, 0, 0]
    [batch] = comparison.batches.all()
    tasks = list(batch.tasks.order_by("pk"))
    sources = [
        next(
            one.response.source.name
            for one in task.task_responses.all()
            if one.response.source != policy.source
        )
        for task in tasks
    ]
    ten, thirty = (f"run {training.pk}, step {step}" for step in (10, 30))
    # Round the checkpoints from prompt to prompt; of step 10 and the third prompt nobody is asked.
    assert sources == [ten, thirty, "the end", thirty, "the end", "the end", ten, thirty]
    client.force_login(ada)
    address = reverse("annotation:next_task", args=["kitchen"])
    work = client.post(address, "{}", content_type="application/json").content.decode()
    assert "begun 0" in work and "ten 0" in work
    for word in (
        "step 10",
        "step 30",
        "the end",
        f"run {training.pk}",
        training.title,
        f"comparison-{run.pk}",
    ):
        assert word not in work
    bob = make_user("bob")
    set_role(actor=max_, project=project, user=bob, role="annotator")
    wins = {ten: [False, True], thirty: [True, True, False], "the end": [True, True, True]}
    said = []
    for task, source in zip(tasks, sources, strict=True):
        names = task.task_responses.order_by("position").values_list("response__source__name", flat=True)
        place = list(names).index(source if wins[source].pop(0) else policy.source.name)
        said.append((task, bob, [[place], [1 - place]], [1]))
    judge_all(max_, batch, said)
    client.force_login(ruth)
    page = client.get(reverse("policies:comparison", args=["kitchen", comparison.pk]))
    found = {
        row["name"]: [(one.win, one.tie, one.lose) for one in row["verdicts"] if one.kind == "people"]
        for row in page.context["rows"]
    }
    assert found == {"step 10": [(1, 0, 1)], "step 20": [], "step 30": [(2, 0, 1)], "the end": [(3, 0, 0)]}
    reward, people, *_ = page.context["pictures"]
    assert reward.title.endswith("reward model") and people.title.endswith(f"people, on {criterion.name}")
    # Steps 10, 30 and 40 of 40 at 26, 74 and 98 of 100; 50, 67 and 100 percent, 3 from each edge of 60.
    assert people.line == "2.00,30.00 26.00,30.00 74.00,21.00 98.00,3.00"
    # Wilson 1927: 1 of 2 is 9.45 to 90.55, 2 of 3 is 20.77 to 93.85, 3 of 3 is 43.85 to 100 percent.
    lows_and_highs = [50, 9.45, 20.77, 43.85, 100, 93.85, 90.55, 50]
    heights = [float(point.partition(",")[2]) for point in people.band.split()]
    assert heights == pytest.approx([57 - 54 * share / 100 for share in lows_and_highs], abs=0.01)
    text = page.content.decode()
    assert 'class="reward-band"' in text and batch.name in text and "1 pair has the same answer twice" in text
    told = client.get(f"{ADDRESS}/{comparison.pk}").json()["verdicts"]
    assert [
        (one["other"], one["win"], one["lose"], one["criterion"]) for one in told if one["by"] == "people"
    ] == [
        ("step 10", 1, 1, criterion.name),
        ("step 30", 2, 1, criterion.name),
        ("the end", 3, 0, criterion.name),
    ]
    # A checkpoint's source is no policy's, and only those that people compare have one.
    stored = Source.objects.filter(kind="policy", policy=None, name__startswith="run ")
    assert set(stored.values_list("name", flat=True)) == {ten, thirty}
    assert made.source.responses.count() == 3
