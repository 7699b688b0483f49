"""Prompts that no training has seen: what policies are measured on."""

from django.db.models import Q, QuerySet

from annotation.models import Demonstration, Prompt, PromptSet, PromptSetMember, Task
from workspace.models import Project

# Their prompts are kept for measuring, whichever side of the split they are on.
HELD_OUT_SETS = (PromptSet.Purpose.EVALUATION, PromptSet.Purpose.ANCHOR)


def met_by_trainings(prompts: QuerySet[Prompt], project: Project) -> QuerySet[Prompt]:
    """Those on the training side that a training may have met: in a set that is trained on, demonstrated or judged."""
    trained_sets = PromptSet.objects.filter(project=project).exclude(purpose__in=HELD_OUT_SETS)
    return prompts.filter(split=Prompt.Split.TRAIN).filter(
        Q(pk__in=PromptSetMember.objects.filter(prompt_set__in=trained_sets).values("prompt"))
        | Q(pk__in=Demonstration.objects.filter(project=project).values("prompt"))
        | Q(pk__in=Task.objects.filter(purpose=Task.Purpose.NORMAL).values("prompt"))
    )


def held_out_of(prompt_set: PromptSet) -> QuerySet[Prompt]:
    """Of a set kept for measuring whatever no training has met; of any other its validation and test sides."""
    prompts = prompt_set.prompts.all()
    if prompt_set.purpose not in HELD_OUT_SETS:
        return prompts.exclude(split=Prompt.Split.TRAIN)
    return prompts.exclude(pk__in=met_by_trainings(prompts, prompt_set.project).values("pk"))
