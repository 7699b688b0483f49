"""A policy is chosen between those measured alike, by a rule, and what was chosen and why is kept."""

import shutil
from io import StringIO

import pytest
from django.core.management import call_command

from policy_training.models import PolicySelection, SelectedPolicy
from policy_training.selecting.actions import pin_policy, select_policy, unpin_policy
from policy_training.selecting.queries import groups_of
from policy_training.selecting.wording import reason_of, settled_text
from tests.policy_training.test_commands import refused
from workspace.errors import ActionError
from workspace.models import AuditEvent, Project

pytestmark = [pytest.mark.db, pytest.mark.django_db]
LOW, HIGH = (1.0, 2.0, 3.0, 2.0, 1.0, 3.0), (2.0, 3.0, 4.0, 3.0, 2.0, 4.0)  # always 1 apart


@pytest.fixture
def act(project, max_):
    def select(rule="best_reward", **asked):
        return select_policy(actor=max_, project=project, rule=rule, **asked)

    return select


def test_the_choice_is_recorded_with_every_candidates_figures_and_one_audit_row(
    act, project, max_, make_policy, evaluated, base
):
    old, new = make_policy("old"), make_policy("new")
    evaluations = [evaluated(new, HIGH, 5.0), evaluated(old, LOW, 1.0)]
    before = AuditEvent.objects.count()
    selection = act(evaluations=evaluations, pin=True)
    assert (selection.policy, selection.rule, selection.chosen_by) == (new, "best_reward", max_)
    [first, second] = selection.report["candidates"]
    assert [first["name"], second["name"]] == ["old", "new"]  # oldest first
    assert (first["reward"], first["kl"], second["kl"]) == (2.0, 1.0, 5.0)
    # Always 1 apart: every draw of prompts has the difference 1.
    assert first["difference"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "prompts": 6, "settled": True}
    assert second["difference"] is None and selection.report["runner_up"] == 0
    assert second["measured_by"] == {
        "kind": "evaluation", "id": evaluations[0].pk, "run": evaluations[0].produced_by_id,
    }  # fmt: skip
    assert "may be chance" not in settled_text(selection)
    assert "6 prompts of “asked”: reward 3.000, KL 5.00 nats" in reason_of(selection)
    [event] = AuditEvent.objects.order_by("pk")[before:]
    assert (event.action, event.actor, event.details["pinned"]) == ("policy.select", max_, True)
    pinned = SelectedPolicy.objects.get()
    assert (pinned.policy, pinned.selection, pinned.pinned_by) == (new, selection, max_)
    # Figures stay when the files are gone.
    shutil.rmtree(evaluations[0].produced_by.path)
    assert "reward 3.000" in reason_of(PolicySelection.objects.get())
    with pytest.raises(ActionError, match="are gone"):
        act(evaluations=evaluations)


def test_a_difference_that_may_be_chance_is_called_not_settled(act, make_policy, evaluated):
    # Differences -2, 2, 0, 0, 0, 1: mean 1/6; one draw in 6 of them is below 0 by far.
    one = evaluated(make_policy("one"), (0, 4, 2, 2, 2, 3), 1.0)
    other = evaluated(make_policy("other"), (2, 2, 2, 2, 2, 2), 1.0)
    selection = act(evaluations=[one, other])
    assert selection.policy.name == "one" and settled_text(selection).startswith("Not settled")


@pytest.mark.parametrize(
    ("rule", "asked", "chosen"),
    [
        ("best_reward", {}, "far"),
        ("reward_within_kl", {"max_kl": 5.0}, "middle"),
        ("one_standard_error", {}, "middle"),
        ("best_win_rate", {}, "middle"),
        ("last", {}, "newest"),
    ],
)
def test_each_rule_chooses_from_evaluations(act, make_policy, evaluated, rule, asked, chosen):
    theirs = (1.5, 2.5, 2.5, 2.5, 1.5, 3.5)
    rows = [
        evaluated(make_policy("near"), LOW, 1.0, theirs=theirs),
        # Never below `near`, and behind `far` on the last prompt alone: by 0.4 / 6, a standard error.
        evaluated(make_policy("middle"), (*HIGH[:5], 3.6), 4.0, theirs=theirs),
        evaluated(make_policy("far"), (0.0, *HIGH[1:5], 6.5), 9.0, theirs=theirs),
        evaluated(make_policy("newest"), LOW, 2.0, theirs=theirs),
    ]
    selection = act(rule, evaluations=rows, **asked)
    assert selection.policy.name == chosen
    if rule == "best_win_rate":
        assert selection.judged_by == "reward_model"
        # far loses the first prompt and wins the others.
        assert [row["win_rate"] for row in selection.report["candidates"]] == pytest.approx(
            [1 / 6, 1.0, 5 / 6, 1 / 6]
        )


def test_comparisons_measure_by_the_judge_too_and_have_their_policy_in_common(
    act, base, make_policy, compared
):
    one, other = make_policy("one"), make_policy("other")
    # Outcomes are the base's: it loses all but one to `other`, and to `one` the judge was unclear about a prompt.
    first = compared({one: (HIGH, 3.0)}, LOW, judged=[(1, 1, 0, None, -1, 1)])
    second = compared({other: (LOW, 2.0)}, LOW, judged=[(-1, -1, -1, 1, -1, 1)])
    assert act(comparisons=[first, second]).policy == one
    by_judge = act("best_win_rate", comparisons=[first, second], judged_by="judge")
    assert by_judge.policy == other
    rates = {row["name"]: row["win_rate"] for row in by_judge.report["candidates"]}
    # The prompt without a verdict counts for nobody: 1.5 and 4 of 5, and the base draws with itself.
    assert rates == {"base": 0.5, "one": pytest.approx(1.5 / 5), "other": pytest.approx(4 / 5)}
    assert by_judge.report["prompts"] == 5
    with pytest.raises(ActionError) as error:
        act("best_win_rate", comparisons=[first, compared({other: (LOW, 2.0)}, LOW)], judged_by="judge")
    assert error.value.code in ("different_judge", "measured_twice")


@pytest.mark.parametrize(
    ("changed", "code", "says"),
    [
        ({"sets": ["runtime.seed=7"]}, "different_seed", "alike: the seed (7; of the other: 0)"),
        ({"sets": ["sampling.temperature=0.5"]}, "different_sampling", "temperature 0.5"),
        ({"sets": ["samples_per_prompt=2"]}, "different_samples_per_prompt", "number of answers"),
        ({"sets": ["batch.max_response_tokens=7"]}, "different_lengths", "limits of lengths"),
        (
            {"ids": ["p0", "p1", "p2", "p3", "p4", "q"]},
            "different_prompts",
            "6 prompts of “asked”, not the same ones",
        ),
    ],
)
def test_policies_measured_otherwise_are_refused_with_what_differs(
    act, make_policy, evaluated, changed, code, says
):
    one, other = evaluated(make_policy("one"), HIGH), evaluated(make_policy("other"), LOW, **changed)
    with pytest.raises(ActionError) as error:
        act(evaluations=[one, other])
    assert error.value.code == code and says in error.value.message and "“other”" in error.value.message
    assert not PolicySelection.objects.exists()
    # What draws answers together changes none.
    alike = evaluated(make_policy("alike"), LOW, sets=["sampling.batch_size=2"])
    assert act(evaluations=[one, alike]).policy.name == "one"


def test_another_reward_model_or_a_comparison_beside_an_evaluation_is_refused(
    act, project, make_policy, evaluated, compared, make_reward_model
):
    model = make_reward_model("smell")
    one = evaluated(make_policy("one"), HIGH)
    for rows in (
        {"evaluations": [one, evaluated(make_policy("two"), LOW, reward_model=model)]},
        {"evaluations": [one], "comparisons": [compared({make_policy("three"): (LOW, 1.0)}, LOW)]},
    ):
        with pytest.raises(ActionError, match="cannot be compared") as error:
            act(**rows)
        assert error.value.code in ("different_reward_model", "different_method")


def test_another_reference_matters_to_the_rules_that_are_about_it(act, make_policy, evaluated):
    one, two = make_policy("one"), make_policy("two")
    rows = [evaluated(one, HIGH, 1.0), evaluated(two, LOW, 1.0, reference=one)]
    selection = act(evaluations=rows)
    assert selection.report["reference"] is None  # their KLs say nothing of each other
    for rule, asked in (
        ("reward_within_kl", {"max_kl": 2.0}),
        ("one_standard_error", {}),
        ("best_win_rate", {}),
    ):
        with pytest.raises(ActionError, match="alike: the reference"):
            act(rule, evaluations=rows, **asked)
    none = [evaluated(make_policy(name), LOW, reference=None) for name in ("x", "y")]
    with pytest.raises(ActionError, match="without its KL"):
        act("one_standard_error", evaluations=none)
    with pytest.raises(ActionError, match="without a reference"):
        act("best_win_rate", evaluations=none)


def test_what_cannot_be_chosen_from_is_refused(act, project, max_, make_policy, evaluated, base):
    one, two = make_policy("one"), make_policy("two")
    rows = [evaluated(one, HIGH, 3.0), evaluated(two, LOW, 2.0)]
    for asked, code in (
        ({"rule": "coin"}, "bad_rule"),
        ({"rule": "reward_within_kl"}, "bad_max_kl"),
        ({"rule": "reward_within_kl", "max_kl": float("nan")}, "bad_max_kl"),
        ({"rule": "reward_within_kl", "max_kl": -1.0}, "bad_max_kl"),
        ({"max_kl": 3.0}, "bad_max_kl"),
        ({"judged_by": "judge"}, "bad_judged_by"),
        ({"rule": "best_win_rate", "judged_by": "coin"}, "bad_judged_by"),
        ({"rule": "best_win_rate", "judged_by": "judge"}, "no_judge"),
        ({"rule": "reward_within_kl", "max_kl": 1.0}, "none_within_kl"),
        ({"policies": [one]}, "no_policy"),
        ({"policies": [one, base]}, "not_measured"),
        ({"evaluations": rows[:1]}, "no_policy"),
        ({"evaluations": [*rows, evaluated(one, LOW)]}, "measured_twice"),
        ({"rule": "last", "evaluations": [], "policies": [one]}, "no_policy"),
    ):
        with pytest.raises(ActionError) as error:
            act(**({"evaluations": rows} | asked))
        assert error.value.code == code, asked
    elsewhere = Project.objects.create(name="Elsewhere", slug="elsewhere")
    with pytest.raises(ActionError) as error:
        select_policy(actor=max_, project=elsewhere, rule="best_reward", evaluations=rows)
    assert error.value.code == "wrong_project"
    assert not PolicySelection.objects.exists()


def test_the_newest_is_chosen_without_a_measurement(act, make_policy):
    policies = [make_policy(name) for name in ("one", "two", "three")]
    selection = act("last", policies=[policies[2], policies[0]])
    assert selection.policy.name == "three" and settled_text(selection) == ""
    assert reason_of(selection) == "the newest of 2 policies"


def test_a_pin_is_moved_and_taken_away(act, project, max_, make_policy, evaluated):
    one, two = make_policy("one"), make_policy("two")
    selection = act(evaluations=[evaluated(one, HIGH), evaluated(two, LOW)])
    assert not SelectedPolicy.objects.exists()
    pin_policy(actor=max_, project=project, policy=one, selection=selection)
    pin_policy(actor=max_, project=project, policy=two)
    pinned = SelectedPolicy.objects.get()
    assert (pinned.policy, pinned.selection) == (two, None)
    with pytest.raises(ActionError, match="chose “one”"):
        pin_policy(actor=max_, project=project, policy=two, selection=selection)
    unpin_policy(actor=max_, project=project)
    with pytest.raises(ActionError, match="no selected policy"):
        unpin_policy(actor=max_, project=project)
    actions = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert actions[-4:] == ["policy.select", "policy.pin", "policy.pin", "policy.unpin"]


def test_the_command_takes_each_policys_newest_evaluation(project, max_, make_policy, evaluated, base):
    one, two = make_policy("one"), make_policy("two")
    first = [evaluated(one, HIGH, 1.0), evaluated(two, LOW, 2.0)]
    evaluated(one, LOW, 1.0)
    evaluated(two, HIGH, 2.0)
    out = StringIO()
    call_command("select_policy", "kitchen", "--rule", "best_reward", "--pin", stdout=out)
    assert "Selected two: highest mean reward of 2 policies" in out.getvalue() and "+1.000" in out.getvalue()
    assert SelectedPolicy.objects.get().policy == two
    named = ["--evaluations", *(str(row.pk) for row in first)]
    call_command("select_policy", "kitchen", "one", "two", "--rule", "best_reward", *named, stdout=StringIO())
    assert PolicySelection.objects.latest("pk").policy == one
    call_command("select_policy", "kitchen", "--rule", "last", stdout=StringIO())
    assert PolicySelection.objects.latest("pk").policy == two  # of all, measured or not
    rule = ["--rule", "best_reward"]
    assert "no measurement 999" in refused("select_policy", "kitchen", *rule, "--evaluations", "999")
    assert "already" in refused("select_policy", "kitchen", *rule, *named, "--reward-model", "taste")
    assert "two to 100" in refused("select_policy", "kitchen", *rule, "--prompt-set", "other")
    call_command("pin_policy", "kitchen", "one", stdout=StringIO())
    assert SelectedPolicy.objects.get().policy == one
    call_command("pin_policy", "kitchen", "--none", stdout=StringIO())
    assert not SelectedPolicy.objects.exists()
    assert "--none" in refused("pin_policy", "kitchen")


def test_what_was_measured_alike_stands_together(project, make_policy, evaluated, compared):
    one, two = make_policy("one"), make_policy("two")
    evaluated(one, HIGH)
    evaluated(two, LOW)
    again = evaluated(two, HIGH)
    evaluated(two, LOW, sets=["runtime.seed=7"])
    compared({one: (HIGH, 1.0)}, LOW)
    groups = groups_of(project)
    assert [[one.policy.name for one in group.measurements] for group in groups] == [
        ["base", "one"],
        ["two"],
        ["two", "one"],
    ]
    assert groups[2].first.made_by == again
