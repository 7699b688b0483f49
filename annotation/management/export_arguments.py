"""How a dataset is written, as command line arguments: the formats and options of the registry."""

from argparse import ArgumentParser

from annotation.datasets.shards import CSV, FILE_KINDS
from annotation.exporting.formats.base import EXPORT_OPTIONS
from annotation.exporting.formats.registry import EXPORT_FORMATS
from annotation.management.command_line import describe_formats
from learning.interface.vocabulary import SPLITS


def add_export_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--format", default="records", choices=sorted(EXPORT_FORMATS), help=describe_formats(EXPORT_FORMATS)
    )
    parser.add_argument("--split", choices=SPLITS)
    for option in EXPORT_OPTIONS.values():
        read_by = [name for name, known in EXPORT_FORMATS.items() if option.name in known.options]
        told = f"{', '.join(read_by)}: {option.description}."
        if option.choices:
            parser.add_argument(f"--{option.name}", default=option.default, choices=option.choices, help=told)
        else:
            parser.add_argument(f"--{option.name}", action="store_true", help=told)
    parser.add_argument(
        "--files",
        choices=(*FILE_KINDS, CSV),
        help="Kind of data files; parquet where the format can be that.",
    )
