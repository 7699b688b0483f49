"""The formats an import of comparisons reads, by the name of --format. A new format is a line here."""

from collections.abc import Mapping

from annotation.importing.readers.base import Reader
from annotation.importing.readers.hh import HhReader
from annotation.importing.readers.judgment_records import RecordsReader
from annotation.importing.readers.ranked import RankedReader
from annotation.importing.readers.trl import TrlReader

COMPARISON_READERS: Mapping[str, type[Reader]] = {
    "records": RecordsReader,
    "trl": TrlReader,
    "hh": HhReader,
    "ranked": RankedReader,
}
