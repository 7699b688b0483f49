"""What the import commands share: their arguments, the bad rows of a file, one line each, and the report."""

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from django.core.management.base import OutputWrapper

from annotation.importing.actions import clear_unfinished
from annotation.importing.readers.messages import MESSAGE_FIELDS
from annotation.importing.report import ImportRefused, ImportReport, describe_counts
from workspace.errors import ActionError
from workspace.models import Project, User


class Described(Protocol):
    @property
    def description(self) -> str: ...


class DescribedReader(Described, Protocol):
    @property
    def fields(self) -> tuple[str, ...]: ...


def describe_formats(formats: Mapping[str, Described]) -> str:
    return "; ".join(f"{name}: {formats[name].description}" for name in sorted(formats)) + "."


def describe_fields(readers: Mapping[str, DescribedReader]) -> str:
    return "; ".join(f"{name}: {', '.join(readers[name].fields)}" for name in sorted(readers))


def add_import_arguments(
    parser: ArgumentParser, readers: Mapping[str, DescribedReader], *, again: bool = True
) -> None:
    """`again`: whether rows that are there already can come in once more."""
    parser.add_argument(
        "file",
        nargs="+",
        help="JSON lines, a JSON array, CSV (each gzip-compressed or not) or Parquet; a folder of such files, or one "
        "saved by the datasets library; or the id of a dataset of the Hugging Face hub (owner/name). Several are one "
        "import.",
    )
    parser.add_argument(
        "--format", default="records", choices=sorted(readers), help=describe_formats(readers)
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=COLUMN",
        help="Take a field from another column; COLUMN may reach into nested values (meta.question). Given several "
        f"times for one field, the columns make a list. Fields of {describe_fields(readers)}. Inside messages: "
        f"{', '.join(MESSAGE_FIELDS)} (keys to leave out).",
    )
    parser.add_argument("--config", help="Which configuration of a hub dataset.")
    parser.add_argument("--revision", help="Which revision of a hub dataset.")
    parser.add_argument(
        "--dataset-split",
        action="append",
        default=[],
        metavar="NAME",
        help="Which splits of a hub dataset; default: all.",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="Leave bad rows out instead of refusing the file."
    )
    if again:
        parser.add_argument(
            "--again",
            action="store_true",
            help="Import rows once more that the project has already; without it they are left out and counted.",
        )


def add_split_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--split-name",
        action="append",
        default=[],
        metavar="NAME=SPLIT",
        help="What a split of the file is: train, validation or test. Usual short forms (val, dev, ...) are known.",
    )
    parser.add_argument(
        "--project-splits",
        action="store_true",
        help="Put prompts on sides by the project's rule, whatever split the file names.",
    )


def parse_split_names(pairs: Sequence[str]) -> dict[str, str]:
    names = {}
    for pair in pairs:
        name, equals, split = pair.rpartition("=")
        if not (equals and name):
            raise ActionError(f"--split-name {pair}: write NAME=SPLIT, as in eval=test.")
        names[name] = split
    return names


def parse_column_map(pairs: Sequence[str]) -> dict[str, list[str]]:
    mapping: dict[str, list[str]] = {}
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not (equals and field and column):
            raise ActionError(f"--map {pair}: write FIELD=COLUMN.")
        mapping.setdefault(field, []).append(column)
    return mapping


@contextmanager
def importing(stdout: OutputWrapper, *, actor: User, project: Project) -> Iterator[None]:
    """Clears what killed imports left and says so; prints the bad rows of a file that is refused, whose sentence is for
    ProjectCommand.
    """
    try:
        for sentence in clear_unfinished(actor=actor, project=project):
            stdout.write(sentence)
        yield
    except ImportRefused as refused:
        if refused.report is not None:
            for line in refused.report.lines():
                stdout.write(line)
        raise


def print_import_report(stdout: OutputWrapper, report: ImportReport, *, destination: str) -> None:
    for line in report.lines() + report.notes:
        stdout.write(line)
    if report.import_id is not None:
        stdout.write(
            f"This is import {report.import_id}: `manage.py undo_import {report.project} {report.import_id}` takes it "
            "back."
        )
    counts = describe_counts(report.counts)
    left_out = f"; {report.bad} of {report.rows} rows left out" if report.bad else ""
    stdout.write(f"{report.file}: {counts} into {destination}{left_out}.")
