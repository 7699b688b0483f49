"""Limits on how many tokens a demonstration's response has; who counts them, the caller says."""

from collections.abc import Callable
from dataclasses import dataclass

from annotation.importing.report import ImportRefused, ImportReport
from annotation.importing.staging import Staging
from learning.interface.messages import answer_text


@dataclass(frozen=True, kw_only=True)
class LengthLimits:
    count: Callable[[str], int]  # tokens of a text, its end not counted
    counted_by: str  # whose tokens they are, for the report
    least: int = 0
    most: int | None = None

    def __post_init__(self) -> None:
        if self.least < 0 or (self.most is not None and self.most < max(1, self.least)):
            raise ImportRefused(
                f"Nothing has {self.least} to {self.most} tokens: --min-tokens must be at least 0 and at most "
                "--max-tokens.",
                code="bad_limits",
            )

    def __str__(self) -> str:
        limits = f"at least {self.least}" if self.most is None else f"{self.least} to {self.most}"
        return f"{limits} tokens of {self.counted_by}"

    def leave_out(self, staging: Staging, report: ImportReport) -> None:
        """Takes the rows outside the limits out of the import and counts them; ImportRefused when none is left."""
        outside, rows = [], 0
        for number, row in staging.numbered_prompt_rows():
            rows += 1
            tokens = self.count(answer_text(row["response"]))
            if tokens < self.least or (self.most is not None and tokens > self.most):
                outside.append(number)
        for number in outside:
            staging.drop_prompt_row(number)
        report.counts[f"left out: responses without {self}"] = len(outside)
        if outside and len(outside) == rows:
            raise ImportRefused(
                f"None of the {rows} responses has {self}: nothing to import.", code="no_rows"
            )
