"""The import contracts of pyproject.toml can fail: each is broken by a wrong import, and by nothing else."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

# By contract: the file that gets a wrong import, and what it imports. A file that is not there is made.
WRONG_IMPORTS = {
    "Apps: one straight line": ("workspace/models.py", "annotation.models"),
    "The training half: one straight line": ("learning/packing.py", "rewardmodel.training.losses"),
    "The training half knows no Django and no app": ("rewardmodel/training/losses.py", "django.conf"),
    "The Django half imports nothing heavy": ("runs/models.py", "torch"),
    "The client knows neither Django nor torch nor an app": ("roundtable/client/errors.py", "django.conf"),
    "Nothing of the site imports the client": ("workspace/text.py", "roundtable.client"),
    "annotation: one strict order of packages": (
        "annotation/datasets/actions.py",
        "annotation.exporting.actions",
    ),
    "No circles inside a package": ("annotation/text.py", "annotation.judging.bulk"),
    "learning: one strict order of modules": ("learning/schedules.py", "learning.engine"),
    "What a judgment is, mathematically, knows no Django": ("annotation/preferences/scale.py", "django.conf"),
    "Of learning, the Django half imports learning.interface and nothing else": (
        "rounds/plans.py",
        "learning.schedules",
    ),
    "Of the reward model's training, the Django half imports config and presets and nothing else": (
        "rounds/reports.py",
        "rewardmodel.training.losses",
    ),
    "Of the policy's training, the Django half imports config and presets and nothing else": (
        "policy_training/models.py",
        "policy_training.training.rollouts.rewards",
    ),
    "Recipes do not import recipes": (
        "policy_training/training/ppo/recipe.py",
        "policy_training.training.supervised.sft",
    ),
}


@pytest.fixture
def tree(tmp_path):
    """The packages as they are, in a folder of their own."""
    for package in CONFIG["root_packages"]:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(tree: Path) -> tuple[int, set[str]]:
    """The exit code of lint-imports, and the broken contracts."""
    process = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tree, env=os.environ | {"COLUMNS": "400"}, capture_output=True, text=True,
    )  # fmt: skip
    verdicts = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", process.stdout, re.MULTILINE))
    assert set(verdicts) == {contract["name"] for contract in CONFIG["contracts"]}, process.stdout
    return process.returncode, {name for name, verdict in verdicts.items() if verdict == "BROKEN"}


def test_every_contract_has_a_wrong_import_here():
    assert set(WRONG_IMPORTS) == {contract["name"] for contract in CONFIG["contracts"]}


def test_the_tree_keeps_all_contracts(tree):
    assert lint(tree) == (0, set())


@pytest.mark.parametrize("contract", WRONG_IMPORTS)
def test_a_wrong_import_breaks_its_contract(tree, contract):
    file, module = WRONG_IMPORTS[contract]
    with (tree / file).open("a") as source:
        source.write(f"\nimport {module}\n")
    code, broken = lint(tree)
    assert code != 0
    assert contract in broken


def test_a_package_of_annotation_without_a_place_in_the_order_is_refused(tree):
    (tree / "annotation" / "somewhere").mkdir()
    (tree / "annotation" / "somewhere" / "__init__.py").touch()
    process = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tree,
        capture_output=True,
        text=True,
    )
    assert process.returncode != 0
    assert "somewhere" in process.stdout
