"""What an action refuses is read on pages in three languages: its sentence is marked for translation."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("workspace", "runs", "annotation", "rewardmodel", "policy_training", "events", "rounds")
NAMES = ("actions.py", "checkpoints.py", "registry.py", "errors.py")


def trees():
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if path.name in NAMES and "training" not in path.relative_to(ROOT).parts[1:-1]:
                yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def name_of(node):
    return getattr(node, "id", getattr(node, "attr", None))


def test_actions_refuse_in_the_readers_language():
    """No bare text is the sentence of an ActionError; f"..." is none that could be translated."""
    found = dict(trees())
    errors = {"ActionError"}
    for _ in range(3):  # classes of classes
        errors |= {
            node.name
            for tree in found.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and errors & set(map(name_of, node.bases))
        }
    assert {"RoundRefused", "InvalidTask", "BadRunConfig", "WrongStage"} <= errors
    bare, marked = [], 0
    for path, tree in found.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node.func) in errors and node.args:
                sentence = node.args[0]
                if isinstance(sentence, ast.JoinedStr) or isinstance(getattr(sentence, "value", None), str):
                    bare.append(f"{path}:{node.lineno}")
                marked += 1
    assert marked > 100 and bare == []
