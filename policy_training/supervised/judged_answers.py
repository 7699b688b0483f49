"""What answers that people put first and answers that they rated well have in common, as rows to fine-tune on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from annotation.datasets.supply import TRAINING_PURPOSES
from annotation.importing.usage import mark_judgments_used
from annotation.models import Batch
from annotation.preferences.rated_comparisons import counts
from annotation.record_columns import judgment_rows
from learning.interface.record_rows import DemonstrationRow
from learning.interface.vocabulary import PERSON
from workspace.models import Project


@dataclass(frozen=True, kw_only=True)
class JudgmentChoice:
    """Whose judgments decide, and of which batches (their keys; None: of all that are not excluded). Judgments of
    head-to-head and gold tasks never do: nothing is trained on them.
    """

    batches: tuple[int, ...] | None = None
    annotator_kinds: tuple[str, ...] = (PERSON,)

    def judgments(self, project: Project) -> Iterator[Mapping[str, Any]]:
        """JUDGMENTS rows that count, in the order of the tasks."""
        return filter(counts, judgment_rows(project, **self._selection(project)))

    def mark_used(self, project: Project, used_for: str) -> None:
        """The imports that the judgments come from can no longer be taken back."""
        mark_judgments_used(project, used_for, **self._selection(project))

    def _selection(self, project: Project) -> dict[str, Any]:
        batches = None
        if self.batches is not None:
            batches = list(Batch.objects.for_datasets(project).filter(pk__in=self.batches))
        return {
            "purposes": TRAINING_PURPOSES,
            "annotator_kinds": self.annotator_kinds,
            "batches": batches,
        }


def answers_as_demonstrations(
    judgments: Iterator[Mapping[str, Any]], chosen: set[str]
) -> Iterator[DemonstrationRow]:
    """DEMONSTRATIONS rows of the `chosen` answers (their response_id), each once, in the order of the judgments.

    An answer that was cut off at the sampler's limit is left out: it would teach never to end.
    """
    left = set(chosen)
    for judgment in judgments:
        for response in judgment["responses"]:
            if response["response_id"] not in left:
                continue
            left.discard(response["response_id"])
            if response["ended"] is not False:
                yield {
                    "prompt_id": judgment["prompt_id"],
                    "prompt": judgment["prompt"],
                    "response": response["text"],
                    "author": None,
                    "split": judgment["split"],
                    "turns": response.get("turns"),
                }
