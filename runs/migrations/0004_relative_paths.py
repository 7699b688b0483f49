"""Paths in the configurations of runs become relative to DATA_DIR, also those of an installation that lived elsewhere."""

from pathlib import Path

from django.conf import settings
from django.db import migrations


def relative(value, directories, key=""):
    if isinstance(value, dict):
        return {name: relative(item, directories, name) for name, item in value.items()}
    if isinstance(value, list):
        return [relative(item, directories, key) for item in value]
    if not (isinstance(value, str) and (key == "path" or key.endswith("_path")) and value.startswith("/")):
        return value
    path = Path(value)
    for place in range(len(path.parts) - 2, 0, -1):
        # .../runs/<the folder of a run>/...: whatever DATA_DIR was when this was written.
        if path.parts[place - 1] == "runs" and path.parts[place] in directories:
            return Path("runs", *path.parts[place:]).as_posix()
    root = Path(settings.DATA_DIR)
    return path.relative_to(root).as_posix() if path != root and path.is_relative_to(root) else value


def make_relative(apps, schema_editor):
    runs = apps.get_model("runs", "Run").objects.using(schema_editor.connection.alias)
    directories = set(runs.values_list("directory", flat=True))
    for pk, config in list(runs.values_list("pk", "config")):
        changed = relative(config, directories)
        if changed != config:
            runs.filter(pk=pk).update(config=changed)


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0003_plain_names"),
    ]

    operations = [migrations.RunPython(make_relative, migrations.RunPython.noop)]
