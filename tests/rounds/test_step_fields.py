"""The steps of a round's policy training on the form: added, moved and taken away without a script, then asked for."""

import pytest
from django.urls import reverse

from learning.interface.training_options import RuntimeOptions
from rounds.models import Round
from rounds.plans import load_plan, plan_to_dict
from rounds.step_fields import MAX_STEPS, NOT_ASKED, NOT_ASKED_OF, options_of_recipe
from rounds.steps import RECIPES
from runs.option_forms.fields import sections_of
from tests.config.changed_options import is_below

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]


@pytest.fixture
def asked(criterion, policy, prompt_set):
    return {
        "preset": "tiny", "criterion": criterion.pk, "start_policy": policy.pk, "prompt_set": prompt_set.pk,
        "max_response_tokens": 20, "max_prompt_tokens": 50, "when": "now",
    }  # fmt: skip


def fields_of(page):
    """What the form would send as it is."""
    form = page.context["form"]
    sent = {"steps": str(len(form.step_forms)), "when": "now"}
    for bound in [*form, *(field for step in form.step_forms for field in step)]:
        value = bound.value()
        if value not in (None, "", False):
            sent[bound.html_name] = getattr(value, "pk", value)
    return sent


def send(client, fields, change=None):
    more = {"change_steps": change} if change else {}
    return client.post(reverse("rounds:start", args=["kitchen"]), fields | more)


def test_a_chain_is_put_together_by_buttons_and_asked_for(client, project, make_policy, asked, max_):
    older = make_policy("older")
    client.force_login(max_)
    page = send(client, asked | {"prompts": "77"}, "add")
    assert page.status_code == 200 and len(page.context["form"].step_forms) == 1
    fields = fields_of(page)
    assert fields["prompts"] == "77"  # what was typed stays
    fields = fields_of(send(client, fields | {"step_1.recipe": "dpo"}, "show"))
    fields = fields_of(send(client, fields | {"step_1.objective.beta": "0.25"}, "add"))
    fields |= {"step_2.recipe": "best_of_n", "step_2.preset": "llama2"}
    fields = fields_of(send(client, fields, "show"))
    fields |= {"step_2.other_policies": [older.pk], "step_2.candidates.samples_per_prompt": "3"}
    fields = fields_of(send(client, fields, "up.2"))
    assert (fields["step_1.recipe"], fields["step_2.objective.beta"]) == ("best_of_n", "0.25")
    fields = fields_of(send(client, fields | {"step_2.reference": f"policy:{older.pk}"}, "add"))
    fields = fields_of(send(client, fields | {"step_3.recipe": "pretrain"}, "add"))
    fields = fields_of(send(client, fields, "remove.3"))
    assert fields["steps"] == "3" and fields["step_3.recipe"] == "ppo"

    answer = send(client, fields)
    assert answer.status_code == 302, answer.context["form"].errors
    plan = load_plan(Round.objects.get().plan)
    assert [step.recipe for step in plan.steps] == ["best_of_n", "dpo", "ppo"]
    best_of_n, dpo, ppo = plan.steps
    assert best_of_n.other_policies == ("older",) and best_of_n.best_of_n.candidates.samples_per_prompt == 3
    assert (dpo.reference, dpo.reference_policy, dpo.dpo.objective.beta) == ("named_policy", "older", 0.25)
    assert ppo.ppo is None and plan.uses_policy
    assert {plan.config_of(step).batch.max_response_tokens for step in plan.steps} == {20}
    assert plan_to_dict(plan)["sampling"]["prompts"] == 77


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_option_of_every_recipe_is_on_the_form(client, asked, recipe, max_):
    client.force_login(max_)
    page = send(client, asked | {"steps": "1", "step_1.recipe": recipe}, "show")
    apart = (*NOT_ASKED, *NOT_ASKED_OF.get(recipe, ()))
    known = {
        option.path
        for section in sections_of(RECIPES[recipe].config)
        for option in section.options
        if not is_below(option.path, apart)
    }
    assert known and known == set(options_of_recipe(recipe))
    content = page.content.decode()
    assert all(f'name="step_1.{path}"' in content for path in known)
    assert all(f'value="{preset}"' in content for preset in RECIPES[recipe].presets)


def test_what_does_not_fit_is_said_at_its_field_and_nothing_is_lost(client, project, asked, max_):
    client.force_login(max_)
    sent = asked | {
        "steps": "2",
        "step_1.recipe": "dpo",
        "step_1.objective.beta": "0",
        "step_2.recipe": "ppo",
    }
    page = send(client, sent)
    assert page.status_code == 422 and not project.rounds.exists()
    form = page.context["form"]
    assert "Step 1" in str(form.non_field_errors())
    [step, _] = form.step_forms
    assert "beta must be positive" in str(step["objective.beta"].errors)
    assert step["objective.beta"].value() == "0"
    page = send(client, asked | {"steps": "1", "step_1.recipe": "dpo", "policy.rollout.steps": "3"})
    assert page.status_code == 422 and "None of the steps is PPO" in page.content.decode()
    page = send(client, asked | {"steps": "1", "step_1.recipe": "rlhf"})
    assert page.status_code == 422 and not project.rounds.exists()


def test_another_recipe_shows_what_it_has_whatever_the_preset_of_the_one_before(client, asked, max_):
    client.force_login(max_)
    page = send(client, asked | {"steps": "1", "step_1.recipe": "sft", "step_1.preset": "dpo_zephyr"}, "show")
    [step] = page.context["form"].step_forms
    usual = RECIPES["sft"].preset("tiny", RuntimeOptions()).optimizer.learning_rate
    assert float(step["optimizer.learning_rate"].field.widget.attrs["placeholder"]) == usual


@pytest.mark.parametrize("count", ["9" * 400, "-1", "٣", "x", ""])
def test_a_number_of_steps_that_is_none_is_none(client, asked, count, max_):
    client.force_login(max_)
    page = send(client, asked | {"steps": count}, "show")
    assert len(page.context["form"].step_forms) == 0
    assert len(send(client, asked | {"steps": "99"}, "add").context["form"].step_forms) == MAX_STEPS


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"steps": "x"}, "“x” is no number of steps from 0 to 20"),
        ({"steps": "21", "step_21.recipe": "sft"}, "“21” is no number of steps from 0 to 20"),
        ({"step_1.recipe": "sft"}, "Step 1 has values, and the form says that there are 0 steps"),
        (
            {"steps": "1", "step_1.recipe": "pretrain", "step_1.objective.beta": "0.2"},
            "Step 1: Pretraining has no “objective.beta”",
        ),
    ],
)
def test_no_step_that_was_sent_is_left_out_without_a_word(client, project, asked, more, said, max_):
    client.force_login(max_)
    page = send(client, asked | more)
    assert page.status_code == 422 and said in str(page.context["form"].non_field_errors())
    assert not project.rounds.exists()
