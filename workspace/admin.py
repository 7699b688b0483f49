"""Django's admin site, for operators. What is append-only is read-only here too."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from workspace.models import (
    AuditEvent,
    Criterion,
    Guideline,
    Invitation,
    Membership,
    Project,
    QuestionSettings,
    User,
)

# Generic for the type checker only; at run time the class takes no parameters.
if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
else:
    AnyModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(AnyModelAdmin):
    """Looking only: rows change through actions, with an audit row each."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class RoundtableUserAdmin(UserAdmin):
    list_display = ("username", "kind", "is_active", "is_staff", "last_login")
    list_filter = ("kind", "is_active", "is_staff")
    readonly_fields = ("kind", "pseudonym")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # People are deactivated; their judgments stay.
        return False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "actor", "action", "project", "target_type", "target_id")
    list_filter = ("action",)
    date_hierarchy = "created_at"


@admin.register(Project)
class ProjectAdmin(ReadOnlyAdmin):
    list_display = ("name", "slug", "overlap", "created_at")


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ("project", "user", "role")
    list_filter = ("role",)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ("project", "role", "invited_by", "expires_at", "accepted_by")
    exclude = ("token_hash",)


admin.site.register([Criterion, QuestionSettings, Guideline], ReadOnlyAdmin)
admin.site.site_header = "Roundtable: operators"
