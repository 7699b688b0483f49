"""The REST API: every app brings its own resources; what is below a project is scoped to it."""

from django.urls import include, path

from annotation.api import urls as annotation_api
from events.api import urls as events_api
from policy_training.api import urls as policy_api
from rewardmodel.api import urls as reward_model_api
from rounds.api import urls as rounds_api
from runs.api import urls as runs_api
from workspace.api import urls as workspace_api

PROJECT_RESOURCES = [
    *workspace_api.project_urlpatterns,
    *annotation_api.project_urlpatterns,
    *runs_api.project_urlpatterns,
    *reward_model_api.project_urlpatterns,
    *policy_api.project_urlpatterns,
    *rounds_api.project_urlpatterns,
    *events_api.project_urlpatterns,
]

urlpatterns = [
    *workspace_api.urlpatterns,
    path("projects/<slug:slug>/", include(PROJECT_RESOURCES)),
]
