"""The framework's default: read while the framework itself is read, so that it imports next to nothing."""

from typing import Any

from rest_framework.permissions import BasePermission


class Nobody(BasePermission):
    """For a view that says nothing of who may call it."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return False
