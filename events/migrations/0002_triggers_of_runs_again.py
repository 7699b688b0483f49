"""The table of runs was built anew by SQLite for the state `paused`, and lost what writes events."""

from django.db import migrations

from events.triggers import install_event_triggers_again


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0001_initial"),
        ("runs", "0006_paused"),
    ]

    operations = [install_event_triggers_again()]
