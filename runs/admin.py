"""Runs on Django's admin site, for operators: looking only, since every change is an action or a worker's."""

from django.contrib import admin

from runs.models import Artifact, Run, Worker
from workspace.admin import ReadOnlyAdmin


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ("id", "title", "project", "kind", "state", "attempt", "worker_name", "created_at")
    list_filter = ("state", "kind")
    search_fields = ("title", "directory")
    list_select_related = ("project",)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "host", "pid", "current_run", "heartbeat_at", "stopped_at")


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    list_display = ("kind", "path", "project", "produced_by", "size_bytes", "created_at")
    list_filter = ("kind",)
