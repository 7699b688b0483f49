"""What every page's navigation needs."""

from typing import Any

from django.http import HttpRequest

from workspace.roles import Capability


def navigation(request: HttpRequest) -> dict[str, Any]:
    """`project` and `can` (`{% if can.review %}`) on the pages of a project, as `project_view` set them."""
    project = getattr(request, "project", None)
    capabilities = getattr(request, "capabilities", None)
    if project is None or capabilities is None:
        return {}
    return {
        "project": project,
        "can": {capability.value: capability in capabilities for capability in Capability},
    }
