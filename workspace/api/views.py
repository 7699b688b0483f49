"""Who one is, projects, what they ask, and who works on them. Thin: what is decided is decided in workspace.actions."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from workspace import actions, members, project_settings
from workspace.access import access_invitation, access_member
from workspace.api.base import ApiView, ProjectApiView
from workspace.api.operations import operation
from workspace.api.permissions import limited_by_token, token_of
from workspace.api.requests import (
    ChangedMember,
    ChangedProject,
    NewCriterion,
    NewestQuery,
    NewGuideline,
    NewInvitation,
    NewProject,
    NewQuestionSettings,
    ProjectQuery,
)
from workspace.api.serializers import (
    CriterionSerializer,
    GuidelineSerializer,
    InvitationSerializer,
    MemberSerializer,
    MeSerializer,
    NewInvitationSerializer,
    ProjectSerializer,
    QuestionSettingsSerializer,
)
from workspace.front_door import site_url
from workspace.models import ApiToken, Criterion, Guideline, Invitation, Membership, Project, QuestionSettings
from workspace.roles import Capability, may_create_projects, role_capabilities
from workspace.shown_values import Shown, values_of


def _may_create_projects(request: Request) -> bool:
    """As on the site; with a token only one that is for all of their projects."""
    token = token_of(request)
    allowed = token is None or (token.project_id is None and token.role == Membership.Role.MANAGER)
    return allowed and may_create_projects(request.user)


class Me(ApiView):
    @operation(None, answers=MeSerializer)
    def get(self, request: Request) -> dict[str, Any]:
        """Who calls, by which token, and what they may do where."""
        projects = []
        for membership in self.actor.memberships.select_related("project").order_by("project__slug"):
            project = membership.project
            capabilities = limited_by_token(request, project, role_capabilities(self.actor, membership.role))
            if Capability.OPEN in capabilities:
                projects.append(
                    {
                        "slug": project.slug,
                        "name": project.name,
                        "role": membership.role,
                        "capabilities": sorted(capabilities),
                    }
                )
        return {
            "username": self.actor.username,
            "pseudonym": self.actor.pseudonym,
            "may_create_projects": _may_create_projects(request),
            "token": token_of(request),
            "projects": projects,
        }


class Projects(ApiView):
    @operation(None, lists=ProjectSerializer, query=ProjectQuery)
    def get(self, request: Request) -> QuerySet[Project]:
        """The projects that the caller is a member of, as far as their token reaches."""
        projects = Project.objects.filter(memberships__user=self.actor)
        token = token_of(request)
        if token is not None and token.scope == ApiToken.Scope.SCORE:
            return projects.none()
        return projects if token is None or token.project_id is None else projects.filter(pk=token.project_id)

    @operation(None, body=NewProject, answers=ProjectSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Project:
        """A new project; the caller manages it. For operators, and for managers where the installation lets them."""
        if not _may_create_projects(request):
            raise PermissionDenied(
                "Operators create projects, and managers where the installation lets them; with a token for all of "
                "their projects."
            )
        return actions.create_project(actor=self.actor, **data)


def _changeable(project: Project) -> dict[str, Any]:
    return values_of(project, project_settings.CHANGEABLE)


class OneProject(ProjectApiView):
    @operation(Capability.OPEN, answers=ProjectSerializer, changeable=_changeable)
    def get(self, request: Request) -> Project:
        """A project."""
        return self.project

    @operation(Capability.MANAGE, body=ChangedProject, answers=ProjectSerializer, changeable=_changeable)
    def patch(self, request: Request, data: dict[str, Any], shown: Shown) -> Project:
        """Correct its name, description, overlap or lease, its time zone, or on which side prompts go that come from
        now on.
        """
        project = self.project
        of: dict[str, Any] = {"actor": self.actor, "project": project}
        names = ("name", "description", "overlap", "lease_minutes", "expected_version")
        corrected = {name: data.pop(name) for name in names if name in data}
        zone = data.pop("time_zone", None)
        with transaction.atomic():
            project_settings.lock_shown(project, shown)
            if corrected:
                project = project_settings.correct_project(**of, **corrected)
            if zone is not None:
                project = project_settings.set_time_zone(**of, time_zone=zone)
            if data:
                project = project_settings.set_splits(**of, **data)
        return project


class Criteria(ProjectApiView):
    @operation(Capability.OPEN, lists=CriterionSerializer, query=NewestQuery)
    def get(self, request: Request) -> QuerySet[Criterion]:
        """What is judged."""
        return self.project.criteria.all()

    @operation(Capability.MANAGE, body=NewCriterion, answers=CriterionSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Criterion:
        """One more criterion."""
        return actions.add_criterion(actor=self.actor, project=self.project, **data)


class AllQuestionSettings(ProjectApiView):
    @operation(Capability.REVIEW, lists=QuestionSettingsSerializer, query=NewestQuery)
    def get(self, request: Request) -> QuerySet[QuestionSettings]:
        """How the question is asked: the version in force first, then those before."""
        return self.project.question_settings.select_related("created_by")

    @operation(Capability.MANAGE, body=NewQuestionSettings, answers=QuestionSettingsSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> QuestionSettings:
        """A new version, in force at once; judgments keep the one they were made under."""
        return actions.change_question_settings(actor=self.actor, project=self.project, **data)


class Guidelines(ProjectApiView):
    @operation(Capability.OPEN, lists=GuidelineSerializer, query=NewestQuery)
    def get(self, request: Request) -> QuerySet[Guideline]:
        """The guideline in force first, then earlier versions (for annotators the one in force alone)."""
        versions = self.project.guidelines.all()
        if Capability.REVIEW in self.capabilities:
            return versions
        newest = versions.latest_version()
        return versions.filter(pk=newest.pk) if newest else versions.none()

    @operation(Capability.MANAGE, body=NewGuideline, answers=GuidelineSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Guideline:
        """A new version, in force at once."""
        return actions.publish_guideline(actor=self.actor, project=self.project, **data)


class Members(ProjectApiView):
    @operation(Capability.MANAGE, lists=MemberSerializer, query=NewestQuery)
    def get(self, request: Request) -> QuerySet[Membership]:
        """Who works on the project."""
        return self.project.memberships.select_related("user")


class Member(ProjectApiView):
    @operation(Capability.MANAGE, answers=MemberSerializer)
    def get(self, request: Request, pk: int) -> Membership:
        """A member."""
        return access_member(self.project, pk)

    @operation(Capability.MANAGE, body=ChangedMember, answers=MemberSerializer)
    def patch(self, request: Request, data: dict[str, Any], pk: int) -> Membership:
        """Give a member another role, pause them (no tasks for them) or resume them."""
        membership = access_member(self.project, pk)
        of: dict[str, Any] = {"actor": self.actor, "project": self.project, "user": membership.user}
        with transaction.atomic():
            if "role" in data:
                membership = members.change_role(**of, role=data["role"])
            if "paused" in data:
                change = members.pause_member if data["paused"] else members.resume_member
                membership = change(**of)
        return membership

    @operation(Capability.MANAGE, status=204)
    def delete(self, request: Request, pk: int) -> None:
        """Remove a member. What they judged stays."""
        user = access_member(self.project, pk).user
        members.remove_member(actor=self.actor, project=self.project, user=user)


class Invitations(ProjectApiView):
    @operation(Capability.MANAGE, lists=InvitationSerializer, query=NewestQuery)
    def get(self, request: Request) -> QuerySet[Invitation]:
        """Those that can still be accepted."""
        return self.project.invitations.usable().select_related("invited_by")

    @operation(
        Capability.MANAGE,
        body=NewInvitation,
        answers=NewInvitationSerializer,
        creates=True,
        secret=("link",),
    )
    def post(self, request: Request, data: dict[str, Any]) -> Invitation:
        """An invitation. Its link is in this answer and nowhere else."""
        invitation, token = members.invite(actor=self.actor, project=self.project, **data)
        invitation.link = site_url(request._request, "workspace:accept_invitation", token)  # type: ignore[attr-defined]
        return invitation


class OneInvitation(ProjectApiView):
    @operation(Capability.MANAGE, answers=InvitationSerializer)
    def get(self, request: Request, pk: int) -> Invitation:
        """An invitation."""
        return access_invitation(self.project, pk)

    @operation(Capability.MANAGE, status=204)
    def delete(self, request: Request, pk: int) -> None:
        """Withdraw it: its link does not work any more."""
        members.withdraw_invitation(actor=self.actor, invitation=access_invitation(self.project, pk))
