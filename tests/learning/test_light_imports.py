"""The web process imports learning.interface, and must not pay for torch; training must not need Django."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEARNING = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "learning").rglob("*.py")
    if path.stem != "__init__"
)
LIGHT = [name for name in LEARNING if name.startswith("learning.interface.")]
HEAVY = ("torch", "transformers", "datasets", "pandas", "sklearn", "peft", "deepspeed", "numpy")


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=400)


def test_every_learning_module_imports_without_django():
    code = "import sys; sys.modules['django'] = None\n"
    code += "\n".join(f"import {name}" for name in LEARNING)
    done = run_python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_import_where_heavy_packages_are_missing(name):
    # numpy is left alone: pyarrow takes it when it is there.
    missing = [package for package in HEAVY if package != "numpy"]
    code = f"import sys; sys.modules.update({{name: None for name in {missing!r}}})\nimport {name}"
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_importing_a_module_does_no_work():
    state = "(random.getstate(), torch.get_rng_state().tolist())"
    # httpx comes first: where rich is installed its command line loads it, and that draws a number.
    code = f"import httpx, logging, random, torch\nbefore = {state}\n"
    code += "\n".join(f"import {name}" for name in LEARNING)
    code += f"\nassert not logging.getLogger().handlers\nassert before == {state}"
    done = run_python(code)
    assert done.returncode == 0, done.stderr
