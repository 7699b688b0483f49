"""What was judged when is counted by quarters of an hour: days of every time zone begin with one.

The column keeps its name. Its cost is one walk over the judgments, a few seconds a million.
"""

from django.db import migrations, models

from annotation.models.work_triggers import count_work_again, install_work_triggers


class Migration(migrations.Migration):
    dependencies = [
        ("annotation", "0033_fewer_indexes"),
    ]

    operations = [
        # Nothing of it changes the table: the column is called as before.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex(model_name="workcount", name="work_count_by_batch"),
                migrations.RemoveIndex(model_name="workcount", name="work_count_by_person"),
                migrations.RemoveConstraint(
                    model_name="workcount", name="unique_work_count_per_person_and_hour"
                ),
                migrations.AlterField(
                    model_name="workcount",
                    name="hour",
                    field=models.DateTimeField(db_column="hour", help_text="When it began, in UTC."),
                ),
                migrations.RenameField(model_name="workcount", old_name="hour", new_name="quarter"),
                migrations.AddIndex(
                    model_name="workcount",
                    index=models.Index(fields=["batch", "quarter"], name="work_count_by_batch"),
                ),
                migrations.AddIndex(
                    model_name="workcount",
                    index=models.Index(fields=["annotator_id", "quarter"], name="work_count_by_person"),
                ),
                migrations.AddConstraint(
                    model_name="workcount",
                    constraint=models.UniqueConstraint(
                        fields=("batch", "annotator_id", "quarter"),
                        name="unique_work_count_per_person_and_hour",
                    ),
                ),
            ]
        ),
        install_work_triggers(),
        count_work_again(),
    ]
