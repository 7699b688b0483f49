"""Names that say what they mean, in columns, tables and constraints; the data stay.

The constraints go first and come back last, under their new names: a rename does not rewrite the conditions that
speak of the old column.
"""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from annotation.models.triggers import install_triggers
from workspace.append_only import append_only


def carry_skip_reasons(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    assignments = apps.get_model("annotation", "Assignment").objects.using(schema_editor.connection.alias)
    for pk, evidence in assignments.exclude(evidence={}).values_list("pk", "evidence").iterator():
        assignments.filter(pk=pk).update(skip_reason=evidence.get("skip_reason", ""))


def carry_skip_reasons_back(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    assignments = apps.get_model("annotation", "Assignment").objects.using(schema_editor.connection.alias)
    for pk, reason in assignments.exclude(skip_reason="").values_list("pk", "skip_reason").iterator():
        assignments.filter(pk=pk).update(evidence={"skip_reason": reason})


def rename_purpose(old: str, new: str) -> migrations.RunPython:
    def move(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor, before: str, after: str) -> None:
        tasks = apps.get_model("annotation", "Task").objects.using(schema_editor.connection.alias)
        tasks.filter(purpose=before).update(purpose=after)

    return migrations.RunPython(
        lambda apps, schema_editor: move(apps, schema_editor, old, new),
        lambda apps, schema_editor: move(apps, schema_editor, new, old),
    )


def restore_triggers(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite changes a table by building it anew, which drops its triggers."""
    for operation in (append_only("annotation_judgment"), install_triggers()):
        operation.code(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0002_triggers")]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, restore_triggers),
        migrations.RemoveConstraint(
            model_name="assignment",
            name="assignment_once_a_task_and_annotator",
        ),
        migrations.RemoveConstraint(
            model_name="assignment",
            name="assignment_state_is_known",
        ),
        migrations.RemoveConstraint(
            model_name="assignment",
            name="assignment_submitted_at_with_state",
        ),
        migrations.RemoveConstraint(
            model_name="batch",
            name="batch_name_once_a_project",
        ),
        migrations.RemoveConstraint(
            model_name="batch",
            name="batch_k_fits_its_kind",
        ),
        migrations.RemoveConstraint(
            model_name="batch",
            name="batch_overlap_1_to_50",
        ),
        migrations.RemoveConstraint(
            model_name="batch",
            name="batch_state_is_known",
        ),
        migrations.RemoveConstraint(
            model_name="currentjudgment",
            name="current_judgment_once_a_task_and_annotator",
        ),
        migrations.RemoveConstraint(
            model_name="demonstration",
            name="demonstration_id_once_a_project",
        ),
        migrations.RemoveConstraint(
            model_name="demonstration",
            name="demonstration_is_not_empty",
        ),
        migrations.RemoveConstraint(
            model_name="judgment",
            name="judgment_superseded_once",
        ),
        migrations.RemoveConstraint(
            model_name="judgment",
            name="judgment_key_once_an_annotator",
        ),
        migrations.RemoveConstraint(
            model_name="judgment",
            name="judgment_chain_has_one_start",
        ),
        migrations.RemoveConstraint(
            model_name="judgment",
            name="judgment_has_a_key",
        ),
        migrations.RemoveConstraint(
            model_name="judgment",
            name="withdrawal_supersedes_a_judgment",
        ),
        migrations.RemoveConstraint(
            model_name="preferencedataset",
            name="preference_dataset_name_once_a_project",
        ),
        migrations.RemoveConstraint(
            model_name="prompt",
            name="prompt_id_once_a_project",
        ),
        migrations.RemoveConstraint(
            model_name="prompt",
            name="prompt_split_is_known",
        ),
        migrations.RemoveConstraint(
            model_name="prompt",
            name="prompt_kind_is_known",
        ),
        migrations.RemoveConstraint(
            model_name="prompt",
            name="prompt_has_an_id",
        ),
        migrations.RemoveConstraint(
            model_name="promptset",
            name="prompt_set_name_once_a_project",
        ),
        migrations.RemoveConstraint(
            model_name="promptset",
            name="prompt_set_purpose_is_known",
        ),
        migrations.RemoveConstraint(
            model_name="promptsetmember",
            name="prompt_once_a_prompt_set",
        ),
        migrations.RemoveConstraint(
            model_name="response",
            name="response_id_once_a_project",
        ),
        migrations.RemoveConstraint(
            model_name="response",
            name="response_has_an_id",
        ),
        migrations.RemoveConstraint(
            model_name="source",
            name="source_once_a_project",
        ),
        migrations.RemoveConstraint(
            model_name="source",
            name="source_kind_is_known",
        ),
        migrations.RemoveConstraint(
            model_name="task",
            name="task_done_not_negative",
        ),
        migrations.RemoveConstraint(
            model_name="task",
            name="task_slots_add_up",
        ),
        migrations.RemoveConstraint(
            model_name="task",
            name="task_slots_fit_its_purpose",
        ),
        migrations.RemoveConstraint(
            model_name="task",
            name="task_purpose_is_known",
        ),
        migrations.RemoveConstraint(
            model_name="task",
            name="task_of_one_person_names_them",
        ),
        migrations.RemoveConstraint(
            model_name="taskresponse",
            name="response_once_a_task",
        ),
        migrations.RemoveConstraint(
            model_name="taskresponse",
            name="position_once_a_task",
        ),
        migrations.RemoveConstraint(
            model_name="taskresponse",
            name="task_has_at_most_9_responses",
        ),
        migrations.RemoveConstraint(model_name="annotatorcursor", name="cursor_once_an_annotator_and_batch"),
        migrations.RenameIndex(
            model_name="batch",
            new_name="batch_by_priority",
            old_name="batch_by_urgency",
        ),
        migrations.RenameIndex(
            model_name="task",
            new_name="task_open_by_priority",
            old_name="task_open_by_urgency",
        ),
        migrations.RenameModel(old_name="AnnotatorCursor", new_name="QueueCursor"),
        migrations.RenameField(model_name="queuecursor", old_name="epoch", new_name="queue_version"),
        migrations.RenameModel(old_name="GoldAnswer", new_name="GoldJudgment"),
        migrations.RenameField(
            model_name="assignment",
            old_name="handle",
            new_name="public_id",
        ),
        migrations.RenameField(
            model_name="assignment",
            old_name="presentation_seed",
            new_name="shuffle_seed",
        ),
        migrations.RenameField(
            model_name="batch",
            old_name="cursor_epoch",
            new_name="queue_version",
        ),
        migrations.RenameField(
            model_name="batch",
            old_name="k",
            new_name="responses_per_task",
        ),
        migrations.RenameField(
            model_name="preferencedataset",
            old_name="made_by",
            new_name="created_by",
        ),
        migrations.RenameField(
            model_name="task",
            old_name="done",
            new_name="counted_judgments",
        ),
        migrations.RenameField(
            model_name="task",
            old_name="needed",
            new_name="required_judgments",
        ),
        migrations.AddField(
            model_name="assignment",
            name="skip_reason",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.RunPython(carry_skip_reasons, carry_skip_reasons_back),
        migrations.RemoveField(
            model_name="assignment",
            name="evidence",
        ),
        rename_purpose("training", "practice"),
        migrations.AlterField(
            model_name="assignment",
            name="order_shown",
            field=models.JSONField(help_text="Response keys in the order shown; labels A, B, ... follow it."),
        ),
        migrations.AlterField(
            model_name="task",
            name="purpose",
            field=models.CharField(
                choices=[
                    ("normal", "Normal"),
                    ("gold", "Gold"),
                    ("repeat", "Repeat"),
                    ("practice", "Practice"),
                    ("adjudication", "Adjudication"),
                    ("head_to_head", "Head to head"),
                ],
                default="normal",
                max_length=14,
            ),
        ),
        migrations.AlterField(
            model_name="taskresponse",
            name="response",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="task_responses",
                to="annotation.response",
            ),
        ),
        migrations.AlterField(
            model_name="taskresponse",
            name="task",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="task_responses",
                to="annotation.task",
            ),
        ),
        migrations.AlterField(
            model_name="goldjudgment",
            name="task",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="gold_judgment",
                to="annotation.task",
            ),
        ),
        migrations.AddConstraint(
            model_name="assignment",
            constraint=models.UniqueConstraint(
                fields=("task", "annotator"), name="unique_assignment_per_task_and_annotator"
            ),
        ),
        migrations.AddConstraint(
            model_name="assignment",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["leased", "submitted", "skipped", "expired"])),
                name="assignment_state_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="assignment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "submitted"), ("submitted_at__isnull", False)),
                    models.Q(models.Q(("state", "submitted"), _negated=True), ("submitted_at__isnull", True)),
                    _connector="OR",
                ),
                name="assignment_submitted_at_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.UniqueConstraint(
                fields=("project", "name"), name="unique_batch_name_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "pairwise"), ("responses_per_task", 2)),
                    models.Q(
                        ("kind", "ranking"), ("responses_per_task__gte", 3), ("responses_per_task__lte", 9)
                    ),
                    models.Q(("kind", "rating"), ("responses_per_task", 1)),
                    _connector="OR",
                ),
                name="batch_responses_per_task_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(("overlap__gte", 1), ("overlap__lte", 50)), name="batch_overlap_valid"
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["draft", "open", "closed"])), name="batch_state_valid"
            ),
        ),
        migrations.AddConstraint(
            model_name="currentjudgment",
            constraint=models.UniqueConstraint(
                fields=("task", "annotator"), name="unique_current_judgment_per_task_and_annotator"
            ),
        ),
        migrations.AddConstraint(
            model_name="demonstration",
            constraint=models.UniqueConstraint(
                fields=("project", "external_id"), name="unique_demonstration_id_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="demonstration",
            constraint=models.CheckConstraint(
                condition=models.Q(("response_text", ""), _negated=True), name="demonstration_not_empty"
            ),
        ),
        migrations.AddConstraint(
            model_name="judgment",
            constraint=models.UniqueConstraint(fields=("supersedes",), name="unique_successor_per_judgment"),
        ),
        migrations.AddConstraint(
            model_name="judgment",
            constraint=models.UniqueConstraint(
                fields=("annotator", "idempotency_key"), name="unique_idempotency_key_per_annotator"
            ),
        ),
        migrations.AddConstraint(
            model_name="judgment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("supersedes__isnull", True)),
                fields=("assignment",),
                name="unique_first_judgment_per_assignment",
            ),
        ),
        migrations.AddConstraint(
            model_name="judgment",
            constraint=models.CheckConstraint(
                condition=models.Q(("idempotency_key", ""), _negated=True),
                name="judgment_idempotency_key_not_empty",
            ),
        ),
        migrations.AddConstraint(
            model_name="judgment",
            constraint=models.CheckConstraint(
                condition=models.Q(("withdrawn", False), ("supersedes__isnull", False), _connector="OR"),
                name="judgment_withdrawn_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="preferencedataset",
            constraint=models.UniqueConstraint(
                fields=("project", "name"), name="unique_preference_dataset_name_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="prompt",
            constraint=models.UniqueConstraint(
                fields=("project", "external_id"), name="unique_prompt_id_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="prompt",
            constraint=models.CheckConstraint(
                condition=models.Q(("split__in", ["train", "validation", "test"])), name="prompt_split_valid"
            ),
        ),
        migrations.AddConstraint(
            model_name="prompt",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["plain", "few-shot", "user-based"])),
                name="prompt_kind_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="prompt",
            constraint=models.CheckConstraint(
                condition=models.Q(("external_id", ""), _negated=True), name="prompt_id_not_empty"
            ),
        ),
        migrations.AddConstraint(
            model_name="promptset",
            constraint=models.UniqueConstraint(
                fields=("project", "name"), name="unique_prompt_set_name_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="promptset",
            constraint=models.CheckConstraint(
                condition=models.Q(("purpose__in", ["sft", "reward", "policy", "evaluation", "anchor"])),
                name="prompt_set_purpose_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="promptsetmember",
            constraint=models.UniqueConstraint(
                fields=("prompt_set", "prompt"), name="unique_prompt_per_prompt_set"
            ),
        ),
        migrations.AddConstraint(
            model_name="response",
            constraint=models.UniqueConstraint(
                fields=("project", "external_id"), name="unique_response_id_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="response",
            constraint=models.CheckConstraint(
                condition=models.Q(("external_id", ""), _negated=True), name="response_id_not_empty"
            ),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.UniqueConstraint(
                fields=("project", "kind", "name"), name="unique_source_per_project"
            ),
        ),
        migrations.AddConstraint(
            model_name="source",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["policy", "person", "reference", "import"])),
                name="source_kind_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(("counted_judgments__gte", 0)), name="task_counted_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "required_judgments__gte",
                        django.db.models.expressions.CombinedExpression(
                            models.F("open_slots"), "+", models.F("counted_judgments")
                        ),
                    )
                ),
                name="task_slots_add_up",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("purpose__in", ("normal", "head_to_head")), ("required_judgments__gte", 1)),
                    models.Q(
                        models.Q(("purpose__in", ("normal", "head_to_head")), _negated=True),
                        ("required_judgments", 0),
                    ),
                    _connector="OR",
                ),
                name="task_required_judgments_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("purpose__in", ["normal", "gold", "repeat", "practice", "adjudication", "head_to_head"])
                ),
                name="task_purpose_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="task",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("purpose__in", ["repeat", "adjudication"]), _negated=True),
                    ("reserved_for__isnull", False),
                    _connector="OR",
                ),
                name="task_reserved_for_valid",
            ),
        ),
        migrations.AddConstraint(
            model_name="taskresponse",
            constraint=models.UniqueConstraint(fields=("task", "response"), name="unique_response_per_task"),
        ),
        migrations.AddConstraint(
            model_name="taskresponse",
            constraint=models.UniqueConstraint(fields=("task", "position"), name="unique_position_per_task"),
        ),
        migrations.AddConstraint(
            model_name="taskresponse",
            constraint=models.CheckConstraint(
                condition=models.Q(("position__lte", 8)), name="task_response_position_valid"
            ),
        ),
        migrations.AddConstraint(
            model_name="queuecursor",
            constraint=models.UniqueConstraint(
                fields=("annotator", "batch"), name="unique_queue_cursor_per_annotator_and_batch"
            ),
        ),
        migrations.RunPython(restore_triggers, migrations.RunPython.noop),
    ]
