"""Rows of a project by the names that commands give."""

from annotation.models import Batch, PromptSet
from workspace.errors import ActionError
from workspace.models import Project


def find_batch(project: Project, name: str) -> Batch:
    """Raises ActionError."""
    batch: Batch | None = project.batches.filter(name=name, visible=True).first()
    if batch is None:
        raise ActionError(f"The project {project.slug} has no batch named “{name}”.", code="no_batch")
    return batch


def find_prompt_set(project: Project, name: str) -> PromptSet:
    """Raises ActionError."""
    prompt_set: PromptSet | None = project.prompt_sets.filter(name=name).first()
    if prompt_set is None:
        raise ActionError(f"The project has no prompt set “{name}”.", code="no_prompts")
    return prompt_set
