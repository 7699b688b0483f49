"""The export formats, by the name of --format. A new format is a file beside this one and a line here."""

from collections.abc import Mapping

from annotation.exporting.formats import records, trl
from annotation.exporting.formats.base import ExportFormat

EXPORT_FORMATS: Mapping[str, ExportFormat] = {
    "records": records.COMPARISONS_FORMAT,
    "judgments": records.JUDGMENTS_FORMAT,
    "trl": trl.FORMAT,
}
