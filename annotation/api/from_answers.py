"""A batch of answers that are there already."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.api.assigning import NewAudience
from annotation.api.batch_bodies import MAX_PRIORITY
from annotation.api.batches import OneBatchSerializer
from annotation.making.finding import MAX_ANSWERS, Answers
from annotation.making.queueing import make_or_queue
from annotation.models import Batch
from runs.api.views import RunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body
from workspace.api.fields import KEY
from workspace.api.operations import Queued, operation
from workspace.criteria import find_criterion
from workspace.models import MAX_OVERLAP
from workspace.roles import Capability


class BatchFromAnswers(Body):
    name = serializers.CharField(max_length=120)
    criterion = serializers.CharField(
        max_length=40, required=False, help_text="Its name; none: the only one."
    )
    prompt_set = serializers.IntegerField(**KEY)
    prompts = serializers.IntegerField(
        min_value=1, max_value=MAX_PRIORITY, required=False, help_text="How many of its prompts; none: all."
    )
    sources = serializers.ListField(
        child=serializers.CharField(max_length=120),
        max_length=1000,
        default=list,
        help_text="Whose answers, by name; none: everybody's.",
    )
    answers = serializers.IntegerField(
        min_value=1, max_value=MAX_ANSWERS, default=2, help_text="Of a task, at most; 1: rated alone."
    )
    skip_asked = serializers.BooleanField(
        default=True, help_text="Without prompts that a batch of the criterion has already."
    )
    overlap = serializers.IntegerField(min_value=1, max_value=MAX_OVERLAP, required=False)
    priority = serializers.IntegerField(min_value=-MAX_PRIORITY, max_value=MAX_PRIORITY, default=0)
    audience = NewAudience(required=False, help_text="Who gets its tasks; left out: everybody who judges.")
    open = serializers.BooleanField(default=False)


class FromAnswers(ProjectApiView):
    @operation(
        Capability.MANAGE,
        body=BatchFromAnswers,
        answers=OneBatchSerializer,
        queues=RunSerializer,
        creates=True,
        is_long=True,
    )
    def post(self, request: Request, data: dict[str, Any]) -> Batch | Queued:
        """A batch of answers that are there already: a task for each prompt with two different ones or more.

        Of more than 5,000 prompts or 20,000 answers a worker makes it: then the answer is 202 and the run. When the run
        is done, `batch` of its result (`runs/ID/result`) is the batch's number.
        """
        prompt_set = self.project.prompt_sets.filter(pk=data["prompt_set"]).first()
        if prompt_set is None:
            raise ValidationError({"prompt_set": ["The project has no prompt set of this number."]})
        sources = list(self.project.sources.filter(name__in=data["sources"]))
        if set(data["sources"]) - {source.name for source in sources}:
            raise ValidationError({"sources": ["The project has no source of one of these names."]})
        made = make_or_queue(
            actor=self.actor,
            answers=Answers(
                project=self.project,
                prompt_set=prompt_set,
                sources=sources,
                prompts=data.get("prompts"),
                most=data["answers"],
                skip_asked=data["skip_asked"],
            ),
            criterion=find_criterion(self.project, data.get("criterion")),
            name=data["name"],
            overlap=data.get("overlap"),
            priority=data["priority"],
            audience=data.get("audience"),
            open_at_once=data["open"],
        )
        return Queued(made) if isinstance(made, Run) else made
