"""Reward models of several criteria and outside models in comparisons: a table of each criterion, and whose answers
they are.
"""

import pytest
from django.urls import reverse

from annotation.models import Response
from policy_training.comparing import actions, presentation
from policy_training.comparing.kind import COMPARE
from policy_training.models import PolicyComparison
from tests.annotation.datasets.conftest import judge_all
from tests.policy_training.comparing.test_comparing import (  # noqa: F401
    ADDRESS,
    counts,
    finished,
    kind_model,
    prompt_set,
)
from tests.policy_training.test_merging import other  # noqa: F401
from tests.policy_training.training.conftest import reward_model_path  # noqa: F401
from tests.rewardmodel.test_actions import judge  # noqa: F401
from tests.rewardmodel.test_evaluations import dataset, model  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_reward_models_of_several_criteria_stand_side_by_side_and_in_a_table_each(
    client, policy, other, model, kind_model, project, prompt_set, criterion, max_, ruth  # noqa: F811
):  # fmt: skip
    run = actions.compare_policies(
        actor=max_, project=project, policy=policy, others=[other], reward_model=model,
        further_reward_models=[kind_model], prompt_set=prompt_set, config=actions.comparison_config(),
    )  # fmt: skip
    further = {"score": -0.25, "by_reward": counts(0, 1, 2, by_tag={"odd": counts(0, 0, 1)})}
    report = {
        "policy": {"score": 1.5, "further": [{"score": 0.75}]},
        "others": [
            {"name": other.name, "kl": 2.0, "score": 1.0, "prompts": 3, "step": None, "by_judge": counts(1, 1, 1),
             "by_reward": counts(2, 0, 1), "further": [further]},
        ],
    }  # fmt: skip
    COMPARE.save_result(run, report)
    comparison = PolicyComparison.objects.get()
    client.force_login(ruth)
    page = client.get(reverse("policies:comparison", args=["kitchen", comparison.pk]))
    found = [
        (table.title, [(one.win, one.tie, one.lose, one.score) for _, one in table.rows])
        for table in page.context["tables"]
    ]
    assert found == [
        (criterion.name, [(2, 0, 1, 1.0)]),
        ("kindness", [(0, 1, 2, -0.25)]),
        ("The judge's question", [(1, 1, 1, None)]),
    ]
    text = page.content.decode()
    assert "reward model kind, on kindness" in text and "scored by taste, kind" in text
    assert "Its own mean score by <bdi>kind</bdi> is 0.75" in text and "-0.25" in text
    told = client.get(f"{ADDRESS}/{comparison.pk}").json()
    assert told["further_reward_models"] == [kind_model.pk]
    assert [
        (one["by"], one["reward_model"], one["criterion"], one["win"], one["score"])
        for one in told["verdicts"]
    ] == [
        ("reward_model", model.pk, criterion.name, 2, 1.0),
        ("reward_model", kind_model.pk, "kindness", 0, -0.25),
        ("judge", None, "", 1, None),
    ]
    assert [own["tag"] for own in told["verdicts"][1]["tags"]] == ["odd"]


def test_people_compare_an_outside_models_answers_under_its_name(
    client, policy, model, kind_model, project, prompt_set, criterion, max_, ada, tmp_path, settings,  # noqa: F811
):  # fmt: skip
    settings.MODEL_SERVERS = {"toy": "http://127.0.0.1:9/v1"}
    run = actions.compare_policies(
        actor=max_, project=project, policy=policy, outside_models=["gpt-x", "m/1"], reward_model=model,
        further_reward_models=[kind_model], prompt_set=prompt_set, prompts=1, criteria=[criterion],
        config=actions.comparison_config(outside_server="toy"),
    )  # fmt: skip
    [prompt_id] = run.parameters["prompt_ids"]
    said = {-1: "mine", 0: "theirs", 1: "m's"}
    finished(run, tmp_path, settings, {number: {prompt_id: text} for number, text in said.items()})
    scored = {
        "score": 1.0,
        "by_reward": counts(1, 0, 0),
        "further": [{"score": 2.0, "by_reward": counts(0, 0, 1)}],
    }
    others = [{"name": name, "prompts": 1, "step": None} | scored for name in ("gpt-x", "m/1")]
    COMPARE.save_result(run, {"policy": {"score": 1.5, "further": [{"score": 0.5}]}, "others": others})
    comparison = PolicyComparison.objects.get()
    [batch] = comparison.batches.all()
    judgments = []
    for task in batch.tasks.order_by("pk"):
        texts = list(task.task_responses.order_by("position").values_list("response__text", flat=True))
        first = texts.index("mine") if "theirs" in texts else texts.index("m's")
        judgments.append((task, ada, [[first], [1 - first]], [1]))
    judge_all(max_, batch, judgments)
    client.force_login(max_)
    page = client.get(reverse("policies:comparison", args=["kitchen", comparison.pk])).content.decode()
    assert (
        "Outside models answered by the server <bdi>toy</bdi>" in page
        and "answers of policies are by" not in page
    )
    verdicts = presentation.people_verdicts(comparison)
    assert {name: (one.win, one.lose) for (name, _), one in verdicts.items()} == {
        "gpt-x": (1, 0),
        "m/1": (0, 1),
    }
    # Beside people, on the same page, by both reward models.
    assert [
        (row["name"], [(one.kind, one.reward_model, one.win) for one in row["verdicts"]])
        for row in presentation.comparison_rows(comparison)
    ] == [
        (name, [("reward_model", model.pk, 1), ("reward_model", kind_model.pk, 0), ("people", None, won)])
        for name, won in (("gpt-x", 1), ("m/1", 0))
    ]
    answers = Response.objects.filter(source__kind="import", source__name__in=["gpt-x", "m/1"])
    # The file's token ids are of another tokenizer than the model's own.
    assert [(one.text, one.token_ids) for one in answers.order_by("pk")] == [("theirs", None), ("m's", None)]
