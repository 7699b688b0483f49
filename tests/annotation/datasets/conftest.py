from pathlib import Path

from tests.annotation.exporting.conftest import bring, write_rows  # noqa: F401


def folder_of(dataset, settings):
    return Path(settings.DATA_DIR) / dataset.directory
