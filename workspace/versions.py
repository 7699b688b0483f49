"""Rows of which a change is a new version."""

from typing import TypeVar

from django.db import models

V = TypeVar("V", bound=models.Model)


class VersionedQuerySet(models.QuerySet[V]):
    def latest_version(self) -> V | None:
        """The row of the highest version, among those of one project; None where there is none yet."""
        return self.order_by("-version").first()
