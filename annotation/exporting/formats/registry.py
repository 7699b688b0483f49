"""The export formats, by the name of --format. A new one is a file beside this one and a line here."""

from collections.abc import Mapping

from annotation.exporting.formats import helpsteer3, hh, nemo, rankings, records, responses, spreadsheet, trl
from annotation.exporting.formats.base import ExportFormat

EXPORT_FORMATS: Mapping[str, ExportFormat] = {
    export_format.name: export_format
    for export_format in (
        records.COMPARISONS_FORMAT,
        records.JUDGMENTS_FORMAT,
        trl.TRL_FORMAT,
        trl.OPENRLHF_FORMAT,
        nemo.NEMO_FORMAT,
        helpsteer3.HELPSTEER3_FORMAT,
        hh.HH_FORMAT,
        responses.KTO_FORMAT,
        responses.SFT_FORMAT,
        rankings.OASST_FORMAT,
        rankings.RANKED_FORMAT,
        spreadsheet.CSV_FORMAT,
    )
}
