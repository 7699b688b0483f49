"""Every URL of the site: each app brings its own, everything below a project is scoped to it."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("workspace.urls")),
    path("projects/<slug:slug>/annotate/", include("annotation.urls")),
    path("projects/<slug:slug>/runs/", include("runs.urls")),
    path("projects/<slug:slug>/rounds/", include("rounds.urls")),
    path("operators/", admin.site.urls),
]
handler404 = "workspace.views.not_found"
handler403 = "workspace.views.forbidden"
handler400 = "workspace.views.bad_request"
handler500 = "workspace.views.server_error"
