"""Every URL of the site: each app brings its own, everything below a project is scoped to it."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from maintenance.metrics import metrics
from workspace.api.documentation import Documentation, Schema

urlpatterns = [
    path("metrics", metrics, name="metrics"),
    path("api/v1/", include("config.api_urls")),
    path("api/schema/", Schema.as_view(), name="api_schema"),
    path("api/docs/", Documentation.as_view(), name="api_docs"),
    path("", include("workspace.urls")),
    path("projects/<slug:slug>/annotate/", include("annotation.urls")),
    path("projects/<slug:slug>/data/", include("annotation.data.urls")),
    path("projects/<slug:slug>/data/events/", include("events.urls")),
    path("projects/<slug:slug>/data/reward-models/", include("rewardmodel.urls")),
    path("projects/<slug:slug>/data/policies/", include("policy_training.urls")),
    path("projects/<slug:slug>/runs/", include("runs.urls")),
    path("projects/<slug:slug>/rounds/", include("rounds.urls")),
    # The admin's own page would take guesses of the old password without a limit, and writes no audit row.
    path("operators/password_change/", RedirectView.as_view(pattern_name="workspace:change_password")),
    path("operators/", admin.site.urls),
]
handler404 = "workspace.views.not_found"
handler403 = "workspace.views.forbidden"
handler400 = "workspace.views.bad_request"
handler500 = "workspace.views.server_error"
