"""What may be tracked: nothing that only one machine understands, and nothing that belongs elsewhere."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 1_000_000
# Folders under which machines keep people's files: an absolute path into one leads nowhere on another machine.
PERSONAL_FOLDERS = ("home", "root", "Users", "work", "mnt")
MACHINE_PATH = re.compile(rf"(?<![\w.:/~$}}-])/(?:{'|'.join(PERSONAL_FOLDERS)})/[\w.-]+".encode())
DATABASE_SUFFIXES = (".sqlite3", ".sqlite", ".db", ".sqlite3-wal", ".sqlite3-shm", ".dump")
SQLITE_HEADER = b"SQLite format 3\0"


def tracked_files() -> list[Path]:
    # Somebody else may own the checkout, as in a container.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    names = process.stdout.decode().split("\0")
    # A file that is deleted but not committed yet is still listed.
    return [ROOT / name for name in names if name and os.path.lexists(ROOT / name)]


def test_no_tracked_link_leaves_the_repository():
    links = [path for path in tracked_files() if path.is_symlink()]
    outside = [
        link.relative_to(ROOT).as_posix()
        for link in links
        if os.path.isabs(os.readlink(link)) or not link.resolve().is_relative_to(ROOT)
    ]
    assert outside == []


def test_no_tracked_file_names_a_path_of_one_machine():
    found = {}
    for path in tracked_files():
        if path.is_file() and not path.is_symlink():
            match = MACHINE_PATH.search(path.read_bytes())
            if match:
                found[path.relative_to(ROOT).as_posix()] = match.group()
    assert found == {}


def test_no_database_is_tracked():
    found = []
    for path in tracked_files():
        if not path.is_file() or path.is_symlink():
            continue
        with path.open("rb") as stream:
            if path.name.endswith(DATABASE_SUFFIXES) or stream.read(16) == SQLITE_HEADER:
                found.append(path.relative_to(ROOT).as_posix())
    assert found == []


def test_only_docs_hold_large_files():
    large = [
        path.relative_to(ROOT).as_posix()
        for path in tracked_files()
        if path.is_file() and path.stat().st_size > MAX_BYTES and path.relative_to(ROOT).parts[0] != "docs"
    ]
    assert large == []


@pytest.mark.parametrize("folder", PERSONAL_FOLDERS)
@pytest.mark.parametrize("before", ["open('", "see ", "data=", ""])
def test_the_pattern_finds_paths_of_a_machine(folder, before):
    assert MACHINE_PATH.search(f"{before}/{folder}/ada".encode())


@pytest.mark.parametrize("text", ["https://example.org/home/ada", "templates/workspace/home.html", "/tmp/x"])
def test_the_pattern_leaves_other_paths_alone(text):
    assert not MACHINE_PATH.search(text.encode())


def test_no_source_file_does_too_many_jobs():
    """At most 400 lines, but for migrations."""
    sources = [
        path
        for path in tracked_files()
        if path.suffix in (".py", ".js", ".html", ".css")
        and path.is_file()
        and "migrations" not in path.parts
    ]
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in sources}
    assert len(lengths) > 1000
    assert {name: length for name, length in lengths.items() if length > 400} == {}
