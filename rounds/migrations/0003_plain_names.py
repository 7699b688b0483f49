"""Names that say what they mean: two columns, the constraints, and the keys of recorded plans.
The data stay.

A plan holds the options of its trainings too, so their new names are in the table below. A plan that
does not have the shape of the version before stays as it is; its round says what does not fit when
it is advanced.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

OPTIMIZER = (
    ("warmup_fraction", "warmup_ratio"),
    ("warmup_start_fraction", "warmup_start_ratio"),
    ("final_fraction", "min_lr_ratio"),
    ("max_gradient_norm", "max_grad_norm"),
)
MODEL_SOURCE = (
    ("fresh", "from_scratch"),
    ("from_scratch.layers", "from_scratch.num_hidden_layers"),
    ("from_scratch.heads", "from_scratch.num_attention_heads"),
    ("from_scratch.key_value_heads", "from_scratch.num_key_value_heads"),
    ("from_scratch.max_positions", "from_scratch.max_position_embeddings"),
    ("from_scratch.tie_embeddings", "from_scratch.tie_word_embeddings"),
)


def _inside(parents: Sequence[str], keys: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{parent}.{before}", f"{parent}.{now}") for parent in parents for before, now in keys)


# Applied from first to last: key before, key now.
RENAMED_KEYS = (
    ("sampling.responses_a_task", "sampling.responses_per_task"),
    ("sampling.further_policies", "sampling.other_policies"),
    ("sampling.temperatures", "sampling.options.temperatures"),
    ("sampling.max_prompt_tokens", "sampling.options.max_prompt_tokens"),
    ("sampling.max_response_tokens", "sampling.options.max_response_tokens"),
    ("annotation.hours", "annotation.max_hours"),
    ("annotation.reserved_tasks", "annotation.reserved_tasks_per_person"),
    ("open_next_round", "continue_automatically"),
    ("reward_model.objective.ranking", "reward_model.objective.ranking_loss"),
    ("reward_model.objective.centring_coefficient", "reward_model.objective.center_rewards_coefficient"),
    ("reward_model.data.judgments_per_step", "reward_model.data.comparisons_per_step"),
    ("reward_model.data.min_judgments_per_step", "reward_model.data.min_comparisons_per_step"),
    ("reward_model.watching", "reward_model.evaluation"),
    ("reward_model.evaluation.evaluation_judgments", "reward_model.evaluation.max_examples"),
    ("reward_model.evaluation.samples", "reward_model.evaluation.logged_samples"),
    ("policy.policy_optimiser", "policy.policy_optimizer"),
    ("policy.critic_optimiser", "policy.critic_optimizer"),
    ("policy.reward_batch", "policy.reward_model_batch"),
    ("policy.rollout.prompts_a_step", "policy.rollout.prompts_per_step"),
    ("policy.rollout.samples_a_prompt", "policy.rollout.samples_per_prompt"),
    ("policy.rollout.sampling.rows_a_batch", "policy.rollout.sampling.batch_size"),
    ("policy.reward.normalise", "policy.reward.normalize"),
    ("policy.reward.clip", "policy.reward.clip_range"),
    ("policy.reward.missing_eos", "policy.reward.missing_eos_rule"),
    ("policy.reward.kl_rule", "policy.reward.kl_controller"),
    ("policy.algorithm.responses_a_minibatch", "policy.algorithm.responses_per_minibatch"),
    ("policy.algorithm.epochs", "policy.algorithm.ppo_epochs"),
    ("policy.algorithm.ratio_clip", "policy.algorithm.clip_range"),
    ("policy.algorithm.value_clip", "policy.algorithm.clip_range_value"),
    ("policy.algorithm.discount", "policy.algorithm.gamma"),
    ("policy.algorithm.lambda_", "policy.algorithm.gae_lambda"),
    ("policy.algorithm.stop_at_kl", "policy.algorithm.target_kl"),
    ("policy.algorithm.ptx_examples_a_minibatch", "policy.algorithm.ptx_examples_per_minibatch"),
    ("policy.critic.start", "policy.critic.init_from"),
    ("policy.critic.pretraining_updates", "policy.critic.max_pretraining_updates"),
    ("policy.critic.flat_window", "policy.critic.plateau_window"),
    ("policy.critic.flat_gain", "policy.critic.plateau_min_improvement"),
    ("policy.watching", "policy.evaluation"),
    ("policy.evaluation.evaluation_prompts", "policy.evaluation.max_examples"),
    ("policy.evaluation.samples", "policy.evaluation.logged_samples"),
    ("reward_model.optimiser", "reward_model.optimizer"),
    *_inside(("reward_model.optimizer", "policy.policy_optimizer", "policy.critic_optimizer"), OPTIMIZER),
    *_inside(("reward_model.model.source", "policy.policy.source", "policy.reference"), MODEL_SOURCE),
    *_inside(("reward_model.runtime", "policy.runtime"), (("engine", "backend"),)),
)
# By the key of now: value before, value now.
RENAMED_VALUES = (
    ("policy.reward.kl_controller", "paper", "ziegler_paper"),
    ("policy.reward.kl_controller", "code", "ziegler_code"),
    *((f"{runtime}.backend", "plain", "torch") for runtime in ("reward_model.runtime", "policy.runtime")),
    *(
        (f"{batch}.layout", "packed", "shared_prompt")
        for batch in ("reward_model.batch", "policy.batch", "policy.reward_model_batch")
    ),
)


def renamed_plan(plan: Any) -> Any:
    """The plan under the names of now."""
    return _renamed(plan, RENAMED_KEYS, RENAMED_VALUES)


def former_plan(plan: Any) -> Any:
    """The plan under the names before, for the way back."""
    plan = _renamed(plan, (), [(key, now, before) for key, before, now in RENAMED_VALUES])
    plan = _renamed(plan, [(now, before) for before, now in reversed(RENAMED_KEYS)], ())
    holder, name = _holder(plan, "sampling.options")
    if holder is not None:
        holder.pop(name, None)  # there was no such object
    return plan


def _renamed(plan: Any, keys: Sequence[tuple[str, str]], values: Sequence[tuple[str, Any, Any]]) -> Any:
    plan = copy.deepcopy(plan)
    for source, target in keys:
        holder, name = _holder(plan, source)
        if holder is None or name not in holder:
            continue
        new_holder, new_name = _holder(plan, target, create=True)
        if new_holder is not None and new_name not in new_holder:
            new_holder[new_name] = holder.pop(name)
    for key, source, target in values:
        holder, name = _holder(plan, key)
        if holder is not None and holder.get(name) == source:
            holder[name] = target
    return plan


def _holder(plan: Any, key: str, *, create: bool = False) -> tuple[dict[str, Any] | None, str]:
    """The object that has, or would have, the dotted key, and the key's last part; no object where there is none."""
    *path, name = key.split(".")
    for part in path:
        if not isinstance(plan, dict):
            return None, name
        plan = plan.setdefault(part, {}) if create else plan.get(part)
    return (plan, name) if isinstance(plan, dict) else (None, name)


def rename_plans(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _rewrite(apps, schema_editor, renamed_plan)


def restore_plans(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _rewrite(apps, schema_editor, former_plan)


def _rewrite(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor, rewrite: Callable[[Any], Any]) -> None:
    rounds = apps.get_model("rounds", "Round").objects.using(schema_editor.connection.alias)
    for pk, plan in list(rounds.values_list("pk", "plan")):
        rounds.filter(pk=pk).update(plan=rewrite(plan))


class Migration(migrations.Migration):
    dependencies = [
        ("policy_training", "0003_projects_are_kept"),
        ("rounds", "0002_stage_rules"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="round",
            name="round_number_once_a_project",
        ),
        migrations.RemoveConstraint(
            model_name="round",
            name="round_numbers_begin_at_1",
        ),
        migrations.RemoveConstraint(
            model_name="round",
            name="one_open_round_a_project",
        ),
        migrations.RemoveConstraint(
            model_name="round",
            name="a_done_round_made_a_policy",
        ),
        migrations.RemoveConstraint(
            model_name="round",
            name="round_stage_known",
        ),
        migrations.RemoveConstraint(
            model_name="round",
            name="an_annotating_round_has_a_batch",
        ),
        migrations.RemoveConstraint(
            model_name="round",
            name="policy_training_has_a_reward_model",
        ),
        migrations.RemoveConstraint(
            model_name="round",
            name="a_failed_round_says_where_and_why",
        ),
        migrations.RemoveConstraint(
            model_name="round",
            name="a_round_that_is_over_says_when",
        ),
        migrations.RemoveConstraint(
            model_name="roundrun",
            name="one_run_a_stage_and_policy",
        ),
        migrations.RemoveConstraint(
            model_name="roundrun",
            name="one_run_a_stage",
        ),
        migrations.RemoveConstraint(
            model_name="roundrun",
            name="round_run_stage_known",
        ),
        migrations.RemoveConstraint(
            model_name="stageentry",
            name="stage_entry_stage_known",
        ),
        migrations.RenameField(
            model_name="round",
            old_name="annotate_until",
            new_name="annotation_deadline",
        ),
        migrations.RenameField(
            model_name="round",
            old_name="previous_policy",
            new_name="comparison_policy",
        ),
        migrations.AlterField(
            model_name="round",
            name="comparison_policy",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rounds_as_opponent",
                to="policy_training.policy",
            ),
        ),
        migrations.AlterField(
            model_name="round",
            name="new_policy",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="produced_in_round",
                to="policy_training.policy",
            ),
        ),
        migrations.AlterField(
            model_name="round",
            name="start_policy",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rounds_as_start",
                to="policy_training.policy",
            ),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.UniqueConstraint(
                fields=("project", "number"), name="unique_round_number_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1)), name="round_number_at_least_1"
            ),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.UniqueConstraint(
                condition=models.Q(("stage__in", ["done", "cancelled"]), _negated=True),
                fields=("project",),
                name="unique_open_round_per_project",
            ),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("stage", "done"), _negated=True), ("new_policy__isnull", False), _connector="OR"
                ),
                name="done_round_has_policy",
            ),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "stage__in",
                        [
                            "sampling",
                            "annotating",
                            "reward_model",
                            "policy",
                            "scoring",
                            "done",
                            "failed",
                            "cancelled",
                        ],
                    ),
                    (
                        "failed_stage__in",
                        [
                            "",
                            "sampling",
                            "annotating",
                            "reward_model",
                            "policy",
                            "scoring",
                            "done",
                            "failed",
                            "cancelled",
                        ],
                    ),
                ),
                name="round_stage_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("stage", "annotating"), _negated=True),
                    ("batch__isnull", False),
                    _connector="OR",
                ),
                name="annotating_round_has_batch",
            ),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("stage__in", ["policy", "scoring", "done"]), _negated=True),
                    ("reward_model__isnull", False),
                    _connector="OR",
                ),
                name="policy_training_has_reward_model",
            ),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("stage", "failed"),
                        models.Q(("failed_stage", ""), _negated=True),
                        models.Q(("error", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("stage", "failed"), _negated=True),
                        models.Q(
                            ("stage", "cancelled"),
                            models.Q(("error", ""), ("failed_stage", "")),
                            _connector="OR",
                        ),
                    ),
                    _connector="OR",
                ),
                name="failed_round_has_error",
            ),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("finished_at__isnull", False), ("stage__in", ["done", "cancelled"])),
                    models.Q(
                        models.Q(("stage__in", ["done", "cancelled"]), _negated=True),
                        ("finished_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="ended_round_has_finish_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="roundrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("policy__isnull", False)),
                fields=("round", "stage", "policy"),
                name="unique_run_per_stage_and_policy",
            ),
        ),
        migrations.AddConstraint(
            model_name="roundrun",
            constraint=models.UniqueConstraint(
                condition=models.Q(("policy__isnull", True)),
                fields=("round", "stage"),
                name="unique_run_per_stage",
            ),
        ),
        migrations.AddConstraint(
            model_name="roundrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "stage__in",
                        [
                            "sampling",
                            "annotating",
                            "reward_model",
                            "policy",
                            "scoring",
                            "done",
                            "failed",
                            "cancelled",
                        ],
                    )
                ),
                name="round_run_stage_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="stageentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "stage__in",
                        [
                            "sampling",
                            "annotating",
                            "reward_model",
                            "policy",
                            "scoring",
                            "done",
                            "failed",
                            "cancelled",
                        ],
                    )
                ),
                name="stage_entry_stage_valid",
            ),
        ),
        migrations.RunPython(rename_plans, restore_plans),
    ]
