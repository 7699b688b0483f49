"""Texts reach the runs that learn from them, and a plan says what is mixed in."""

import pytest
from django.core.management import call_command

from annotation.content.actions import NewDemonstration, NewText, add_demonstrations, add_prompts, add_texts
from annotation.models import Prompt
from policy_training.run_kinds import POLICY_GRADIENT, PPO, PRETRAIN, SFT
from policy_training.supervised.mixing import NothingToMixIn, available_ptx, describe_ptx
from policy_training.training.policy_gradient.config import PolicyGradientOptions
from policy_training.training.ppo.config import AlgorithmOptions
from policy_training.training.ppo.presets import PPO_PRESETS
from runs.models import Run
from tests.policy_training.test_commands import refused

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def bring_texts(project, max_):
    def bring(*splits):
        add_texts(
            actor=max_,
            project=project,
            rows=[NewText(text=f"Text {n}.", licence="CC0", split=split) for n, split in enumerate(splits)],
        )

    return bring


@pytest.fixture
def bring_demonstrations(project, max_):
    def bring():
        rows = [{"messages": [{"role": "user", "content": f"Question {n}?"}]} for n in range(30)]
        prompts = add_prompts(actor=max_, project=project, rows=rows)
        assert Prompt.objects.filter(split="train").exists()
        new = [NewDemonstration(prompt=prompt, text="An answer.") for prompt in prompts]
        add_demonstrations(actor=max_, project=project, rows=new)

    return bring


def test_pretraining_reads_the_projects_texts_and_refuses_without_any(project, bring_texts):
    assert "import_texts" in refused("pretrain", "kitchen", "base")
    bring_texts("test", "validation")
    assert "no texts to train on" in refused("pretrain", "kitchen", "base")
    assert "no demonstrations" in refused("fine_tune", "kitchen", "base", "--pretrain")
    bring_texts("test", "validation", "train")
    call_command("pretrain", "kitchen", "base", "--set", "data.steps=3", verbosity=0)
    run = Run.objects.get()
    assert (run.kind, run.title, run.config["data"]["steps"]) == (PRETRAIN.name, "Pretrain base on texts", 3)
    rows, _ = PRETRAIN.build_inputs(run)["texts"]
    assert [(row["text"], row["licence"], row["split"]) for row in rows] == [
        ("Text 0.", "CC0", "test"),
        ("Text 1.", "CC0", "validation"),
        ("Text 2.", "CC0", "train"),
    ]


def test_pretraining_on_whole_demonstrations_is_asked_for_by_name(project, bring_texts, bring_demonstrations):
    bring_texts("train")
    bring_demonstrations()
    call_command("pretrain", "kitchen", "one", "--data", "demonstrations", verbosity=0)
    call_command("fine_tune", "kitchen", "two", "--pretrain", verbosity=0)
    for run in Run.objects.all():
        assert list(PRETRAIN.build_inputs(run)) == ["demonstrations"]
    # Queued before there were texts.
    Run.objects.update(parameters={"name": "old", "parent": None})
    assert list(PRETRAIN.build_inputs(Run.objects.first())) == ["demonstrations"]


def test_fine_tuning_takes_texts_by_a_share_and_its_options_from_the_command(
    project, bring_texts, bring_demonstrations
):
    bring_demonstrations()
    assert "no texts to train on" in refused("fine_tune", "kitchen", "x", "--preset", "instructgpt_ppo_start")
    bring_texts("train")
    call_command("fine_tune", "kitchen", "one", "--preset", "instructgpt_ppo_start", verbosity=0)
    call_command(
        "fine_tune", "kitchen", "two", "--every-assistant-turn", "--min-tokens", "24", "--max-tokens", "48",
        verbosity=0,
    )  # fmt: skip
    one, two = Run.objects.order_by("pk")
    assert set(SFT.build_inputs(one)) == {"demonstrations", "texts"}
    assert set(SFT.build_inputs(two)) == {"demonstrations"}
    assert (one.config["data"]["texts_share"], one.config["data"]["every_assistant_turn"]) == (0.1, False)
    names = ("every_assistant_turn", "min_demonstration_tokens", "max_demonstration_tokens", "texts_share")
    assert [two.config["data"][name] for name in names] == [True, 24, 48, 0.0]


def test_what_ptx_mixes_in_follows_what_there_is_and_is_said(project, bring_texts, bring_demonstrations):
    wanted = PPO_PRESETS["instructgpt"].algorithm
    assert wanted.ptx_texts_share == 1.0
    with pytest.raises(
        NothingToMixIn, match="texts or demonstrations into the policy's loss .ptx. and the project has none"
    ):
        available_ptx(project, wanted)
    bring_demonstrations()
    fallen_back = available_ptx(project, wanted)
    assert (fallen_back.ptx_texts_share, fallen_back.ptx_coefficient) == (0.0, 27.8)
    assert (
        describe_ptx(fallen_back)
        == "PPO mixes in demonstrations, no pretraining text (ptx, coefficient 27.8)."
    )
    bring_texts("train")
    assert available_ptx(project, wanted) == wanted
    assert describe_ptx(wanted) == "PPO mixes in pretraining texts (ptx, coefficient 27.8)."
    half = AlgorithmOptions(ptx_coefficient=1.0, ptx_texts_share=0.25)
    assert "25% pretraining texts and 75% demonstrations" in describe_ptx(half)
    project.demonstrations.all().delete()
    assert available_ptx(project, wanted) == wanted, "texts alone are enough for a share of 1"
    with pytest.raises(NothingToMixIn, match="mixes demonstrations into the policy's loss"):
        available_ptx(project, half)
    gradient = PolicyGradientOptions(ptx_coefficient=2.0, ptx_texts_share=1.0)
    assert describe_ptx(gradient) == "Policy gradient mixes in pretraining texts (ptx, coefficient 2)."
    off = AlgorithmOptions()
    assert available_ptx(project, off) == off and describe_ptx(off) == ""


@pytest.mark.parametrize(
    ("with_texts", "with_demonstrations"), [(True, False), (False, True), (True, True), (False, False)]
)
@pytest.mark.parametrize("kind", [PPO, POLICY_GRADIENT])
def test_a_run_with_rollouts_gets_the_inputs_of_its_share(
    kind, project, max_, bring_texts, bring_demonstrations, with_texts, with_demonstrations
):
    bring_texts("train")
    bring_demonstrations()
    prompt_set = project.prompt_sets.create(name="all", purpose="policy")
    parameters = {
        "prompt_set": prompt_set.pk,
        "with_texts": with_texts,
        "with_demonstrations": with_demonstrations,
    }
    run = Run(project=project, kind=kind.name, parameters=parameters, requested_by=max_)
    given = {"prompts": True, "texts": with_texts, "demonstrations": with_demonstrations}
    assert set(kind.build_inputs(run)) == {name for name, wanted in given.items() if wanted}
    if kind is POLICY_GRADIENT:  # one that was queued before it could mix in anything says nothing of it
        run.parameters = {"prompt_set": prompt_set.pk}
        assert set(kind.build_inputs(run)) == {"prompts"}
