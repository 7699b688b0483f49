"""One limit on lengths in a round, which every model of it can read; said before anything starts."""

import json
import re

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.urls import reverse
from django.utils import timezone

from rounds.actions import cancel_round, retry_round, start_next_round
from rounds.errors import RoundRefused, WrongStage
from rounds.lengths import fitting_lengths, require_one_limit
from rounds.models import Round, Stage
from rounds.plan_changes import override_plan
from rounds.plans import PRESETS, load_plan, plan_to_dict, preset_plan, with_lengths
from rounds.stages.machine import advance_round
from rounds.stages.transitions import fail_round
from runs.models import Run

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]


@pytest.fixture
def reads(settings, tmp_path):
    """Gives a policy a folder that says how many tokens it reads at once."""
    settings.DATA_DIR = tmp_path

    def give(policy, positions):
        folder = policy.artifact.absolute_path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"max_position_embeddings": positions}))

    return give


def limits(plan):
    return [
        (part.max_prompt_tokens, part.max_response_tokens)
        for part in (plan.sampling.options, plan.reward_model.batch, plan.policy.batch)
    ]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_people_judge_what_the_reward_model_reads_and_ppo_writes_in_every_preset(name):
    plan = preset_plan(name)
    assert len(set(limits(plan))) == 1
    require_one_limit(plan)


@pytest.mark.parametrize("name", ["max_prompt_tokens", "max_response_tokens"])
@pytest.mark.parametrize("part", ["sampling.options", "reward_model.batch", "policy.batch"])
def test_a_plan_with_three_limits_is_refused_with_the_numbers(begin, part, name):
    mapping = plan_to_dict(preset_plan("tiny"))
    outer, inner = part.split(".")
    mapping[outer][inner][name] = 77
    with pytest.raises(RoundRefused) as caught:
        begin(plan=load_plan(mapping))
    said = {"max_prompt_tokens": 256, "max_response_tokens": 192}[name]
    assert caught.value.code == "limits_disagree"
    numbers = [
        77 if where == part else said for where in ("sampling.options", "reward_model.batch", "policy.batch")
    ]
    assert [int(number) for number in re.findall(r"(\d+)(?: tokens)? \(", str(caught.value))] == numbers
    assert not Round.objects.exists() and not Run.objects.exists()


def test_lengths_that_a_policy_cannot_read_are_refused_before_anything_starts(begin, reads, policy):
    reads(policy, 256)
    plan = preset_plan("tiny")
    with pytest.raises(RoundRefused, match="“base” reads 256 tokens .*are 448: .* to 146 and 110"):
        begin(plan=plan)
    assert not Round.objects.exists() and not Run.objects.exists()
    begin(plan=with_lengths(plan, max_prompt_tokens=146, max_response_tokens=110))


def test_the_policy_that_reads_least_decides(begin, reads, policy, make_policy):
    reads(policy, 512)
    reads(make_policy("older"), 128)
    plan = override_plan(preset_plan("tiny"), sampling={"other_policies": ("older",)})
    with pytest.raises(RoundRefused, match="“older” reads 128 tokens"):
        begin(plan=plan)


def test_an_opponent_that_reads_less_than_the_start_policy_is_thought_of_too(
    begin, reads, policy, make_policy
):
    older = make_policy("older")
    newer = make_policy("newer", parent=older)
    for each, positions in ((older, 300), (newer, 448)):
        reads(each, positions)
    with pytest.raises(RoundRefused, match="“older” reads 300 tokens"):
        begin(start_policy=newer)
    begin(start_policy=newer, plan=override_plan(preset_plan("tiny"), opponents=()))


@pytest.mark.parametrize(
    ("positions", "given", "expected"),
    [
        (None, (None, None), (256, 192)),
        (448, (None, None), (256, 192)),
        (256, (None, None), (146, 110)),  # 256 * 256 / 448 = 146.3; the rest
        (256, (200, None), (200, 56)),
        (256, (None, 100), (156, 100)),
        (2048, (None, 100), (256, 100)),
        (256, (200, 100), (200, 100)),  # refused later, with what fits
    ],
)
def test_what_is_not_given_is_what_fits(positions, given, expected):
    plan = preset_plan("tiny")
    prompt, response = given
    assert (
        fitting_lengths(plan, positions, max_prompt_tokens=prompt, max_response_tokens=response) == expected
    )


def test_the_command_fits_the_lengths_takes_given_ones_and_refuses_what_does_not_fit(
    reads, policy, prompt_set, project
):
    reads(policy, 256)
    for flags, said in (
        (["--max-prompt-tokens", "200", "--max-response-tokens", "100"], "reads 256 tokens"),
        (["--set", "policy.batch.max_response_tokens=50"], "three limits"),
        (["--max-response-tokens", "0"], "max_response_tokens"),
    ):
        with pytest.raises(CommandError, match=said):
            call_command("start_round", "kitchen", *flags)
        assert not Round.objects.exists()
    call_command("start_round", "kitchen", "--max-prompt-tokens", "200")
    assert set(limits(load_plan(Round.objects.get().plan))) == {(200, 56)}


def form_values(criterion, policy, prompt_set, **values):
    return {
        "preset": "tiny",
        "criterion": criterion.pk,
        "start_policy": policy.pk,
        "prompt_set": prompt_set.pk,
        **values,
    }


def test_the_form_shows_what_fits_and_refuses_at_the_field_before_anything_starts(
    client, reads, policy, prompt_set, criterion, max_
):
    reads(policy, 256)
    client.force_login(max_)
    url = reverse("rounds:start", args=["kitchen"])
    page = client.get(url).content.decode()
    assert 'placeholder="146"' in page and 'placeholder="110"' in page
    assert "“base” reads 256 tokens at once" in page
    chosen = client.get(
        url, {"preset": "llama2", "start_policy": policy.pk, "prompts": "33"}
    ).content.decode()
    assert 'placeholder="128"' in chosen and 'value="33"' in chosen
    refused = client.post(
        url, form_values(criterion, policy, prompt_set, max_prompt_tokens=256, max_response_tokens=192)
    )
    assert refused.status_code == 422
    assert "max_response_tokens" in refused.context["form"].errors
    assert not Round.objects.exists() and not Run.objects.exists()
    for preset in PRESETS:
        values = form_values(criterion, policy, prompt_set, preset=preset)
        answer = client.post(url, values)
        if preset == "instructgpt":  # what else it needs is said there too
            assert "ptx" in str(answer.context["form"].errors)
            continue
        assert answer.status_code == 302
        round_ = Round.objects.latest("pk")
        ((prompt, response),) = set(limits(load_plan(round_.plan)))
        assert prompt + response <= 256
        cancel_round(actor=max_, round_=round_)


def test_a_round_that_was_recorded_with_lengths_too_long_says_what_to_do_when_it_is_tried_again(
    begin, reads, policy, max_
):
    round_ = begin()
    reads(policy, 256)
    fail_round(round_, "prompts and responses of up to 448 tokens do not fit")
    with pytest.raises(RoundRefused, match="cancel this round and start another"):
        retry_round(actor=max_, round_=round_)
    cancel_round(actor=max_, round_=round_)
    assert begin(plan=with_lengths(preset_plan("tiny"), max_prompt_tokens=100, max_response_tokens=100))


def test_after_a_cancelled_round_the_one_before_goes_on(begin, finish_round, max_, client):
    first = finish_round(begin())
    second = start_next_round(actor=max_, round_=first)
    with pytest.raises(WrongStage):
        start_next_round(actor=max_, round_=first)
    client.force_login(max_)
    page = reverse("rounds:round", args=["kitchen", 1])
    assert "Go on with the next round" not in client.get(page).content.decode()
    cancel_round(actor=max_, round_=second)
    assert "Go on with the next round" in client.get(page).content.decode()
    third = start_next_round(actor=max_, round_=first)
    assert (third.number, third.start_policy) == (3, first.new_policy)
    assert client.get(page).context["report"].next_round == third


def test_a_done_round_stays_done_when_its_plan_cannot_start_another(begin, finish_round, max_):
    """Plans of earlier versions had three limits; the round under way is carried through."""
    round_ = begin()
    mapping = plan_to_dict(preset_plan("tiny"))
    mapping["reward_model"]["batch"]["max_response_tokens"] = 100
    Round.objects.update(plan=mapping)
    round_.refresh_from_db()
    finish_round(round_)
    with pytest.raises(RoundRefused, match="three limits"):
        start_next_round(actor=max_, round_=round_)
    Round.objects.update(stage=Stage.SCORING, finished_at=None)
    run = Run.objects.create(
        project=round_.project,
        kind="rewardmodel.score",
        title="score",
        config={},
        requested_by=max_,
        state="done",
        finished_at=timezone.now(),
    )
    round_.round_runs.create(run=run, stage=Stage.SCORING)
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert round_.stage == Stage.DONE
    assert "the next round was not opened" in round_.stage_entries.last().reason
    assert Round.objects.count() == 1
