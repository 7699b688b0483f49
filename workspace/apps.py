from django.apps import AppConfig


class WorkspaceConfig(AppConfig):
    name = "workspace"
    verbose_name = "People and projects"

    def ready(self) -> None:
        # Registers the checks.
        from workspace import checks, deploy_checks  # noqa: F401
