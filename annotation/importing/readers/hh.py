"""Pairs of whole transcripts, as in Anthropic's HH files."""

from typing import Any, ClassVar

from django.utils.translation import gettext_noop

from annotation.content.transcripts import from_transcript, shared_prompt, tidy_transcript
from annotation.importing.readers.base import Row
from annotation.importing.readers.fields import parse_nonempty_text
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair, check_responses
from annotation.importing.readers.messages import check_prompt, parse_answer
from annotation.importing.readers.pair_groups import PAIR_FIELDS, PairReader
from annotation.importing.rows import RowError
from learning.interface.messages import Answer


class HhReader(PairReader):
    """`chosen`, `rejected`: whole transcripts; the prompt is what they share, up to an assistant marker. Where the
    conversations go on after that, all that follows is what was compared.

    Our own exports have the columns of pairs beside them: the pairs of one group are one K-way judgment again.
    """

    description: ClassVar[str] = gettext_noop("chosen and rejected as whole transcripts")
    fields: ClassVar[tuple[str, ...]] = ("chosen", "rejected", *PAIR_FIELDS, "annotator", "id")
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
        prompt = parts[0]
        responses: list[Answer] = []
        for name, answer in zip(names, parts[1:], strict=True):
            if isinstance(answer, list) and answer[-1]["role"] == "user":
                raise RowError(name, "goes on with another human turn that nobody answers")
            responses.append(answer if isinstance(answer, str) else parse_answer(answer, name))
        check_responses(responses, names)
        common: dict[str, Any] = {
            "prompt": check_prompt(from_transcript(prompt) or [], names[0]),
            "annotator": self._annotator(row),
        }
        group, strength = self._group(row), self._strength(row)
        if group is None:
            return [ImportedJudgment(responses=responses, ranks=[0, 1], strengths=[strength], **common)]
        return [
            ImportedPair(
                group=group, chosen=responses[0], rejected=responses[1], strength=strength, tie=self._is_tie(row),
                **common, **self._group_numbers(row),
            )
        ]  # fmt: skip
