"""The imports between the packages, as import-linter's contracts cannot see them: what really gets loaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "transformers", "datasets", "pandas", "sklearn", "peft", "deepspeed")


def training_modules() -> list[str]:
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in ("learning", "rewardmodel/training", "policy_training/training")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "__init__.py"
    ]


def light_modules() -> list[str]:
    """What the site may import of the training half."""
    names = [
        name
        for name in training_modules()
        if name.startswith("learning.interface.") or name.endswith((".config", "presets", "unread_options"))
    ]
    assert {"policy_training.training.ppo.presets", "rewardmodel.training.config"} < set(names)
    return names


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True
    )


def test_every_training_module_imports_without_django():
    imports = "\n".join(f"import {name}" for name in training_modules())
    process = run_python(
        f"import sys\nsys.modules['django'] = None\nsys.modules['psycopg'] = None\n{imports}"
    )
    assert process.returncode == 0, process.stderr[-2000:]


def test_the_light_modules_import_nothing_heavy():
    blocked = "\n".join(f"sys.modules['{name}'] = None" for name in HEAVY)
    imports = "\n".join(f"import {name}" for name in light_modules())
    process = run_python(f"import sys\n{blocked}\n{imports}")
    assert process.returncode == 0, process.stderr[-2000:]


def test_the_site_serves_a_page_without_anything_heavy():
    blocked = "\n".join(f"sys.modules['{name}'] = None" for name in HEAVY)
    process = run_python(
        f"""
import sys
{blocked}
import os
os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'
import django
django.setup()
from django.core.management import call_command
call_command('check')
from django.test import Client
answer = Client().get('/login/')
assert answer.status_code == 200, answer.status_code
import rounds.management.commands.worker
"""
    )
    assert process.returncode == 0, process.stderr[-2000:]


def test_init_files_stay_empty():
    # Django finds the models of an app in `models`; a package of them has to name them there.
    allowed = [ROOT / "annotation" / "models" / "__init__.py"]
    packages = (
        "config",
        "workspace",
        "runs",
        "annotation",
        "learning",
        "rewardmodel",
        "policy_training",
        "events",
        "rounds",
        "maintenance",
        "demo",
    )
    full = [
        path for package in packages for path in (ROOT / package).rglob("__init__.py") if path.stat().st_size
    ]
    assert full == allowed


@pytest.mark.db
@pytest.mark.django_db
def test_models_and_migrations_agree():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    assert True  # makemigrations exits otherwise
