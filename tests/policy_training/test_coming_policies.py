"""Which kinds of runs make policies: pages of runs have their names, and this app the kinds themselves."""

from policy_training.models import ChainedTraining
from policy_training.run_kinds import IMPORT, KINDS
from runs.run_kinds import MAKE_POLICIES, POLICY_TRAININGS


def test_the_kinds_that_make_policies_are_those_that_leave_one():
    leave_one = {kind.name for kind in KINDS if any(output.kind == "policy" for output in kind.outputs)}
    # What an import makes lies outside its run's folder.
    assert leave_one | {IMPORT.name} == MAKE_POLICIES


def test_each_recipe_that_can_wait_for_a_policy_trains_one_step_by_step():
    recipes = {f"policy.{recipe.removeprefix('policy_')}" for recipe in ChainedTraining.Recipe.values}
    assert recipes == POLICY_TRAININGS
