from django.db import migrations

# Figures of PPO's result.json, as the reports of policies repeat them: name before, name now.
NAMES = {
    "reward_before": "score_before",
    "reward_after": "score_after",
    "reward_sd_before": "score_std_before",
    "critic_updates_alone": "critic_pretraining_updates",
}


def rename_figures(apps, schema_editor):
    _rename(apps, NAMES)


def restore_figures(apps, schema_editor):
    _rename(apps, {now: before for before, now in NAMES.items()})


def _rename(apps, names):
    for policy in apps.get_model("policy_training", "Policy").objects.all():
        renamed = {names.get(name, name): figure for name, figure in policy.report.items()}
        if renamed != policy.report:
            policy.report = renamed
            policy.save(update_fields=["report"])


class Migration(migrations.Migration):
    dependencies = [("policy_training", "0004_produced_by_and_constraint_name")]

    operations = [migrations.RunPython(rename_figures, restore_figures)]
