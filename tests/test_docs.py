"""What the documents say about the tree is true: files and folders that they name are there."""

import re
from pathlib import Path

import pytest

from annotation.exporting.formats.registry import EXPORT_FORMATS
from annotation.importing.readers.registry import COMPARISON_READERS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TOP = {"annotation", "benchmarks", "config", "demo", "deploy", "docs", "events", "learning", "policy_training",
       "rewardmodel", "rounds", "runs", "static", "templates", "tests", "workspace"}  # fmt: skip
PLACEHOLDERS = ("NAME", "APP", "PAGE", "OUT", "*")


def named_paths(text: str) -> set[str]:
    """Everything between backticks that looks like a path of this tree."""
    words = re.findall(r"`([\w./-]+)`", text)
    return {word for word in words if word.partition("/")[0] in TOP and "/" in word}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_a_document_names_is_there(document):
    # Entries of decisions.md are dated; they name what was there on their day.
    paths = set() if document.name == "decisions.md" else named_paths(document.read_text())
    missing = sorted(
        path
        for path in paths
        if not any(word in path for word in PLACEHOLDERS) and not (ROOT / path).exists()
    )
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document):
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_managers_guide_names_every_import_format():
    guide = (ROOT / "docs" / "manager-guide.md").read_text()
    [line] = [line for line in guide.splitlines() if "import_comparisons PROJECT FILE --format" in line]
    assert set(line.split("--format ")[1].split()[0].split("|")) == set(COMPARISON_READERS)


def test_the_researchers_guide_names_every_export_format():
    guide = (ROOT / "docs" / "researcher-guide.md").read_text()
    [line] = [line for line in guide.splitlines() if "export_preferences PROJECT OUT --format" in line]
    assert set(line.split("--format ")[1].split()[0].split("|")) == set(EXPORT_FORMATS)


def test_the_researchers_guide_has_a_row_for_every_import_format():
    guide = (ROOT / "docs" / "researcher-guide.md").read_text()
    table = guide.split("## Files that come in")[1].split("\n\n")[2]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(COMPARISON_READERS)


def test_the_pictures_of_the_annotation_tour_are_light_and_all_shown():
    folder = ROOT / "docs" / "screenshots" / "annotation-tour"
    pictures = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sum(pictures.values()) <= 3_000_000
    shown = re.findall(
        r"annotation-tour/([\w-]+\.webp)\)", (ROOT / "docs" / "annotation-tour.md").read_text()
    )
    assert sorted(shown) == sorted(pictures)
