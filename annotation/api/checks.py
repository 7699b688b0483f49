"""What checks who judges: shares of known answers and repeats, tasks with a known answer, trainings and who passed."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.access import access_batch, access_training
from annotation.judging.gold import MAX_AT_ONCE, make_known_tasks
from annotation.models import Batch, Judgment, Qualification, Training
from annotation.qualification import actions
from workspace import project_settings
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY
from workspace.api.operations import operation
from workspace.criteria import find_criterion
from workspace.models import Project, User
from workspace.roles import Capability
from workspace.shown_values import Shown, values_of


class ChecksSerializer(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = ["gold_share", "repeat_share", "repeat_after"]
        read_only_fields = fields


class ChangedChecks(Body):
    gold_share = serializers.FloatField(
        required=False, min_value=0, max_value=project_settings.MAX_GOLD_SHARE, help_text="In whole percents."
    )
    repeat_share = serializers.FloatField(
        required=False, min_value=0, max_value=project_settings.MAX_REPEAT_SHARE
    )
    repeat_after = serializers.IntegerField(
        required=False, min_value=1, max_value=project_settings.MAX_REPEAT_AFTER
    )


class TrainingSerializer(serializers.ModelSerializer[Training]):
    batch = serializers.IntegerField(source="batch_id")
    criterion = serializers.CharField(source="batch.criterion.name")
    kind = serializers.ChoiceField(Batch.Kind.choices, source="batch.kind")

    class Meta:
        model = Training
        fields = [
            "id", "name", "batch", "criterion", "kind", "items", "needed", "max_tries", "is_on", "for_everybody",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class QualificationSerializer(serializers.ModelSerializer[Qualification]):
    annotator = serializers.CharField(source="annotator.pseudonym")
    decided_by = serializers.CharField(source="decided_by.username", allow_null=True, default=None)

    class Meta:
        model = Qualification
        fields = [
            "id", "annotator", "state", "try_number", "tries_allowed", "answered", "right", "decided_by", "decided_at",
            "note",
        ]  # fmt: skip
        read_only_fields = fields


class OwnStandingSerializer(serializers.ModelSerializer[Qualification]):
    class Meta:
        model = Qualification
        fields = ["state", "try_number", "tries_allowed", "answered", "right"]
        read_only_fields = fields


def _whole(most: int, **described: Any) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=most, **described)


class NewTraining(Body):
    name = serializers.CharField(max_length=80)
    criterion = serializers.CharField(required=False, help_text="Left out: the only one.")
    kind = serializers.ChoiceField(["pairwise", "ranking"], default="pairwise")
    items = _whole(actions.MAX_ITEMS, default=10, help_text="Tasks of a try.")
    needed = _whole(actions.MAX_ITEMS, default=8, help_text="So many of them right to pass.")
    max_tries = _whole(actions.MAX_TRIES, default=3)
    for_everybody = serializers.BooleanField(default=True)


class ChangedTraining(Body):
    items = _whole(actions.MAX_ITEMS, required=False)
    needed = _whole(actions.MAX_ITEMS, required=False)
    max_tries = _whole(actions.MAX_TRIES, required=False)
    is_on = serializers.BooleanField(required=False)
    for_everybody = serializers.BooleanField(required=False)


class NewKnownTasks(Body):
    judgments = serializers.ListField(
        child=serializers.IntegerField(**KEY),
        min_length=1,
        max_length=MAX_AT_ONCE,
        help_text="Those that are right.",
    )
    training = serializers.IntegerField(
        required=False, help_text="Left out: known answers, mixed in among other tasks.", **KEY
    )


class MadeSerializer(serializers.Serializer[Any]):
    made = serializers.IntegerField(help_text="The others were there already.")


class Standing(Body):
    person = serializers.CharField(max_length=64, help_text="Their pseudonym.")
    note = serializers.CharField(max_length=actions.MAX_NOTE, required=False, allow_blank=True, default="")
    expected_state = serializers.ChoiceField(
        [*Qualification.State.values, "none"], required=False, help_text="Refused when it is another by now."
    )


class RequiredTraining(Body):
    training = serializers.IntegerField(allow_null=True, help_text="null: none.", **KEY)


class QualificationQuery(PageQuery):
    order = OrderField("id")
    state = serializers.ChoiceField(Qualification.State.choices, required=False)


class TrainingQuery(PageQuery):
    order = OrderField("id")


def _shares(project: Project) -> dict[str, Any]:
    return values_of(project, project_settings.CHECKS)


class Checks(ProjectApiView):
    @operation(Capability.MANAGE, answers=ChecksSerializer, changeable=_shares)
    def get(self, request: Request) -> Project:
        """How many of a person's tasks have a known answer, and how many come a second time."""
        return self.project

    @operation(Capability.MANAGE, body=ChangedChecks, answers=ChecksSerializer, changeable=_shares)
    def patch(self, request: Request, data: dict[str, Any], shown: Shown) -> Project:
        """Change them, from each person's next task on."""
        return project_settings.set_checks(actor=self.actor, project=self.project, shown=shown, **data)


class KnownTasks(ProjectApiView):
    @operation(Capability.MANAGE, body=NewKnownTasks, answers=MadeSerializer, status=201)
    def post(self, request: Request, data: dict[str, Any]) -> dict[str, int]:
        """Copies of what was judged, with these judgments as the known answers: gold, or tasks of a training."""
        found = Judgment.objects.counted().of_project(self.project).in_visible_batches()
        rows = list(found.filter(pk__in=data["judgments"]).select_related("task__batch__criterion"))
        if missing := set(data["judgments"]) - {row.pk for row in rows}:
            raise ValidationError({"judgments": [f"No judgment {min(missing)} counts in the project."]})
        if "training" in data:
            training = access_training(self.project, data["training"])
            return {"made": actions.add_practice(actor=self.actor, training=training, judgments=rows)}
        return {"made": make_known_tasks(actor=self.actor, project=self.project, judgments=rows)}


class Trainings(ProjectApiView):
    @operation(Capability.MANAGE, lists=TrainingSerializer, query=TrainingQuery)
    def get(self, request: Request) -> QuerySet[Training]:
        """What has to be passed before work."""
        return Training.objects.filter(project=self.project).select_related("batch__criterion")

    @operation(Capability.MANAGE, body=NewTraining, answers=TrainingSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Training:
        """A training without tasks, off. Tasks come by `known-tasks`."""
        criterion = find_criterion(self.project, data.pop("criterion", None))
        return actions.create_training(actor=self.actor, project=self.project, criterion=criterion, **data)


def _settings(training: Training) -> dict[str, Any]:
    return values_of(training, actions.SETTINGS)


class TrainingView(ProjectApiView):
    def find(self, pk: int) -> Training:
        return access_training(self.project, pk)

    def person(self, pseudonym: str) -> User:
        found = User.objects.filter(pseudonym=pseudonym, memberships__project=self.project).first()
        if found is None:
            raise Http404("No such member.")
        return found


class OneTraining(TrainingView):
    @operation(Capability.MANAGE, answers=TrainingSerializer, changeable=_settings)
    def get(self, request: Request, pk: int) -> Training:
        """A training."""
        return self.find(pk)

    @operation(Capability.MANAGE, body=ChangedTraining, answers=TrainingSerializer, changeable=_settings)
    def patch(self, request: Request, data: dict[str, Any], shown: Shown, pk: int) -> Training:
        """Change it, or turn it on or off. Who has passed stays so."""
        actions.change_training(actor=self.actor, training=self.find(pk), shown=shown, **data)
        return self.find(pk)


class Qualifications(TrainingView):
    @operation(Capability.MANAGE, lists=QualificationSerializer, query=QualificationQuery)
    def get(self, request: Request, pk: int) -> QuerySet[Qualification]:
        """Who passed, when, with how much; who has no row has not begun."""
        found = Qualification.objects.filter(training=self.find(pk))
        return found.select_related("annotator", "decided_by")


class LetThrough(TrainingView):
    @operation(Capability.MANAGE, body=Standing, answers=QualificationSerializer)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> Qualification:
        """Give somebody the work without passing."""
        person = self.person(data.pop("person"))
        return actions.let_through(actor=self.actor, training=self.find(pk), annotator=person, **data)


class AskAgain(TrainingView):
    @operation(Capability.MANAGE, body=Standing, answers=QualificationSerializer)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> Qualification:
        """Ask somebody for it again, with as many tries as at first."""
        person = self.person(data.pop("person"))
        return actions.ask_again(actor=self.actor, training=self.find(pk), annotator=person, **data)


class BeginTry(TrainingView):
    @operation(Capability.ANNOTATE, answers=OwnStandingSerializer)
    def post(self, request: Request, pk: int) -> Qualification:
        """The caller's next try, after one that was not passed."""
        training = self.find(pk)
        if not training.qualifications.filter(annotator=self.actor).exists():
            raise Http404("Not begun.")
        return actions.begin_try(actor=self.actor, training=training)


class RequireTraining(ProjectApiView):
    @operation(Capability.MANAGE, body=RequiredTraining, status=204)
    def put(self, request: Request, data: dict[str, Any], pk: int) -> None:
        """Hand the batch's tasks out to those alone who have passed this training."""
        training = None if data["training"] is None else access_training(self.project, data["training"])
        actions.require_training(actor=self.actor, batch=access_batch(self.project, pk), training=training)
