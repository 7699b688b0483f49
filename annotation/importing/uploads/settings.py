"""How an uploaded file is to be read: what the import commands take as options, as plain values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from annotation.importing.actions import import_comparisons
from annotation.importing.contents.actions import import_demonstrations, import_prompts, import_texts
from annotation.importing.readers.registry import (
    COMPARISON_READERS,
    DEMONSTRATION_READERS,
    DIALOGUE_READERS,
    PROMPT_READERS,
    TASK_READERS,
    TEXT_READERS,
)
from annotation.importing.report import ImportReport
from annotation.importing.sources import Source
from annotation.importing.tasks.actions import import_dialogue_turns, import_tasks
from annotation.models import Batch, Import
from workspace.models import Project, User

READERS: Mapping[str, Mapping[str, type[Any]]] = {
    Import.Kind.COMPARISONS: COMPARISON_READERS,
    Import.Kind.TASKS: TASK_READERS,
    Import.Kind.DEMONSTRATIONS: DEMONSTRATION_READERS,
    Import.Kind.PROMPTS: {**PROMPT_READERS, **DIALOGUE_READERS},
    Import.Kind.TEXTS: TEXT_READERS,
}


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """Each kind reads those of its command; the others stand at their defaults."""

    kind: str = Import.Kind.COMPARISONS.value
    format: str = "records"
    mapping: dict[str, list[str]] = field(default_factory=dict)
    skip_bad: bool = False
    again: bool = False
    split_names: dict[str, str] = field(default_factory=dict)
    project_splits: bool = False
    # comparisons and tasks
    criterion: str | None = None
    batch_name: str | None = None
    named_strengths: dict[str, str] = field(default_factory=dict)
    margins: str | None = None
    # tasks
    batch_kind: str | None = None
    overlap: int | None = None
    priority: int = 0
    open_at_once: bool = False
    audience: dict[str, Any] | None = None
    # prompts and demonstrations
    prompt_set: str | None = None
    purpose: str = "policy"
    seed: int = 0
    # texts
    licence: str = ""
    split: str | None = None
    txt_rows: str = "document"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ImportSettings":
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    @property
    def reader(self) -> type[Any]:
        return READERS[self.kind][self.format]


def import_source(
    settings: ImportSettings, *, actor: User, project: Project, source: Source
) -> tuple[Batch | None, ImportReport]:
    """The action of the command of this kind, with these options. Raises what the action raises."""
    common: dict[str, Any] = {
        "actor": actor,
        "project": project,
        "path": source,
        "mapping": settings.mapping,
        "skip_bad": settings.skip_bad,
    }
    splits: dict[str, Any] = {"split_names": settings.split_names, "project_splits": settings.project_splits}
    if settings.kind == Import.Kind.COMPARISONS:
        return import_comparisons(
            **common,
            **splits,
            format=settings.format,
            again=settings.again,
            criterion=settings.criterion,
            batch_name=settings.batch_name,
            named_strengths=settings.named_strengths,
            margins=settings.margins,
        )
    if settings.kind == Import.Kind.TASKS:
        return import_tasks(
            **common,
            **splits,
            format=settings.format,
            again=settings.again,
            criterion=settings.criterion,
            batch_name=settings.batch_name,
            kind=settings.batch_kind,
            overlap=settings.overlap,
            priority=settings.priority,
            open_at_once=settings.open_at_once,
            audience=settings.audience,
        )
    if settings.kind == Import.Kind.TEXTS:
        texts = import_texts(
            **common,
            format=settings.format,
            licence=settings.licence,
            split=settings.split,
            txt_rows=settings.txt_rows,  # type: ignore[arg-type]  # the form has the choices
        )
        return None, texts
    if settings.kind == Import.Kind.DEMONSTRATIONS:
        demonstrations = import_demonstrations(
            **common,
            **splits,
            format=settings.format,
            again=settings.again,
            prompt_set=settings.prompt_set or "demonstrations",
        )
        return None, demonstrations
    if settings.format in DIALOGUE_READERS:
        dialogues = import_dialogue_turns(
            **common,
            **splits,
            prompt_set=settings.prompt_set or "dialogues",
            purpose=settings.purpose,
            seed=settings.seed,
        )
        return None, dialogues
    prompts = import_prompts(
        **common,
        **splits,
        format=settings.format,
        again=settings.again,
        prompt_set=settings.prompt_set or "prompts",
        purpose=settings.purpose,
    )
    return None, prompts
