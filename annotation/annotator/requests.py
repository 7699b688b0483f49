"""The request of an annotator: logged in, in a project."""

from django.http import HttpRequest

from workspace.access import ANY_ROLE, access_project
from workspace.models import Project, User


class ProjectRequest(HttpRequest):
    """A request of somebody who is logged in; `project` is what the navigation shows."""

    user: User
    project: Project


def require_project_member(request: HttpRequest, slug: str) -> Project:
    """The project of a page, for a member of any role; 404 for everybody else."""
    project = access_project(request.user, slug, roles=ANY_ROLE)
    request.project = project  # type: ignore[attr-defined]
    return project
