from tests.annotation.exporting.conftest import bring, write_rows  # noqa: F401
