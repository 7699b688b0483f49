"""Pairs of whole transcripts, as in Anthropic's HH files."""

from typing import ClassVar

from annotation.content.transcripts import MARKERS, from_transcript, shared_prompt
from annotation.importing.readers import fields
from annotation.importing.readers.base import ForeignFormatReader, Row
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair, check_responses
from annotation.importing.report import RowError


class HhReader(ForeignFormatReader):
    """`chosen`, `rejected`: whole transcripts; the prompt is what they share, up to an assistant marker."""

    fields: ClassVar[tuple[str, ...]] = ("chosen", "rejected", "strength", "annotator", "id")

    def read(self, row: Row, line: int) -> list[ImportedJudgment | ImportedPair]:
        names = [self._columns.name("chosen"), self._columns.name("rejected")]
        chosen, rejected = (
            fields.filled_text(self._columns.value(row, field), self._columns.name(field))
            for field in ("chosen", "rejected")
        )
        check_responses([chosen, rejected], names)
        parts = shared_prompt(chosen, rejected)
        if parts is None:
            raise RowError(names[1], f"shares no prompt with {names[0]} that ends with an assistant marker")
        prompt, better, worse = parts
        for name, words in zip(names, (better, worse), strict=True):
            if MARKERS["user"] in words:
                raise RowError(name, "goes on with another human turn where the two sides part")
        check_responses([better, worse], names)
        return [
            ImportedJudgment(
                prompt=fields.messages(from_transcript(prompt), names[0]),
                responses=[better, worse],
                ranks=[0, 1],
                strengths=[self._strength(row)],
                annotator=self._optional_name(row, "annotator"),
            )
        ]
