"""Pairs of whole transcripts, as in Anthropic's HH files."""

from typing import ClassVar

from annotation.content.transcripts import MARKERS, from_transcript, shared_prompt, tidy_transcript
from annotation.importing.readers.base import ForeignFormatReader, Row
from annotation.importing.readers.fields import parse_nonempty_text
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair, check_responses
from annotation.importing.readers.messages import check_prompt
from annotation.importing.rows import RowError


class HhReader(ForeignFormatReader):
    """`chosen`, `rejected`: whole transcripts; the prompt is what they share, up to an assistant marker."""

    description: ClassVar[str] = "chosen and rejected as whole transcripts"
    fields: ClassVar[tuple[str, ...]] = ("chosen", "rejected", "strength", "annotator", "id")
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def read(self, row: Row, line: int) -> list[ImportedJudgment | ImportedPair]:
        names = [self._columns.name("chosen"), self._columns.name("rejected")]
        chosen, rejected = (
            tidy_transcript(self._columns.parse(row, field, parse_nonempty_text))
            for field in ("chosen", "rejected")
        )
        check_responses([chosen, rejected], names)
        parts = shared_prompt(chosen, rejected)
        if parts is None:
            raise RowError(names[1], f"shares no prompt with {names[0]} that ends with an assistant marker")
        prompt, *responses = parts
        for name, text in zip(names, responses, strict=True):
            if MARKERS["user"] in text:
                raise RowError(name, "goes on with another human turn where the two transcripts part")
        check_responses(responses, names)
        return [
            ImportedJudgment(
                prompt=check_prompt(from_transcript(prompt) or [], names[0]),
                responses=list(responses),
                ranks=[0, 1],
                strengths=[self._strength(row)],
                annotator=self._annotator(row),
            )
        ]
